-- What the partition holds, and putting right what differs from it.

-- One function of functions, so that a script that seldom looks does not make them all each time.
local function looking()
  local TIDY_MS = 250
  local WINDOW = 500
  local PRIORITIES = {'high', 'normal', 'low'}

  -- Names of the workers that may hold jobs, and queue -> how many with a lease serve it.
  local function look_at_workers()
    local names, leases, live = call('SMEMBERS', WORKERS), {}, {}
    for i, name in ipairs(names) do
      leases[i] = START .. 'lease:' .. name
    end
    if #names > 0 then
      for _, serves in ipairs(call('MGET', unpack(leases))) do
        for queue in string.gmatch(serves or '', '%S+') do
          live[queue] = (live[queue] or 0) + 1
        end
      end
    end
    return names, live
  end

  -- Milliseconds until a job that came now would be answered: those before it at their measured cost, then a batch
  -- with it, and a tenth for what was measured too small. 0 where nothing is before it, or cost or workers are unknown.
  local function wait_ms(jobs, cost, batch, workers)
    if not (cost and workers) or jobs <= 0 then
      return 0
    end
    return math.ceil((jobs * cost / workers + (batch or 0)) * 1.1)
  end

  local function keep(key)
    if call('PTTL', key) < DAY_MS / 2 then
      call('PEXPIRE', key, DAY_MS)
    end
  end

  -- Takes out entries whose deadline passed: those at the head, and those in a window that wanders with the time.
  local function sweep(list, now)
    local length = call('LLEN', list)
    if length == 0 then
      return 0
    end
    keep(list)
    local first = math.floor(now / 1000) * WINDOW % (math.ceil(length / WINDOW) * WINDOW)
    local swept = 0
    local function sweep_window(from)
      local head, at_head = 0, from == 0
      for _, entry in ipairs(call('LRANGE', list, from, from + WINDOW - 1)) do
        local late = tonumber(match(entry, ' (%d+)')) <= now
        at_head = at_head and late
        if at_head then
          head = head + 1
        elseif late then
          swept = swept + call('LREM', list, 1, entry)
        end
      end
      if head > 0 then
        call('LPOP', list, head)
        swept = swept + head
      end
    end
    if first > 0 then
      sweep_window(first)
    end
    sweep_window(0)
    return length - swept
  end

  -- Sweeps all lists, and holds the sums against what is there: they cannot drift for ever. Does nothing, and
  -- returns false, where it was done a moment ago.
  local function tidy(workers, live)
    local tidier = START .. 'tidier'
    if call('EXISTS', tidier) == 1 then
      return false
    end
    call('PEXPIRE', WORKERS, DAY_MS)
    call('SET', tidier, '1', 'PX', TIDY_MS)
    local now = now_ms()
    local known, there, bytes = {}, {}, 0
    for queue in pairs(live) do
      there[queue] = 0
    end
    local fields = call('HGETALL', LOAD)
    for i = 1, #fields, 2 do
      known[fields[i]] = tonumber(fields[i + 1])
      local queue = match(fields[i], '^jobs:(.+)$')
      if queue then
        there[queue] = 0
      end
    end
    for _, worker in ipairs(workers) do
      local claimed = START .. 'claimed:' .. worker
      keep(claimed)
      for _, held in ipairs(call('HVALS', claimed)) do
        local queue, size = match(held, '^%d+ %d+ %a+ (%S+) %S+ %d+ (%d+) ')
        if queue then
          there[queue] = (there[queue] or 0) + 1
          bytes = bytes + size
        end
      end
    end
    local jobs, differ, lists = 0, false, {}
    for queue in pairs(there) do
      keep(START .. queue .. ':idle')
      for _, priority in ipairs(PRIORITIES) do
        local list = START .. queue .. ':queue:' .. priority
        lists[#lists + 1] = list
        there[queue] = there[queue] + sweep(list, now)
      end
      differ = differ or there[queue] ~= (known['jobs:' .. queue] or 0)
      jobs = jobs + there[queue]
    end
    if differ or jobs ~= (known.jobs or 0) or jobs == 0 and (known.bytes or 0) > 0 then
      for _, list in ipairs(lists) do
        for _, entry in ipairs(call('LRANGE', list, 0, -1)) do
          bytes = bytes + match(entry, '^%S+ %d+ (%d+)')
        end
      end
      call('HSET', LOAD, 'jobs', jobs, 'bytes', bytes)
      for queue, number in pairs(there) do
        call('HSET', LOAD, 'jobs:' .. queue, number)
      end
    end
    for queue, number in pairs(there) do
      if number == 0 and not live[queue] then
        call('HDEL', LOAD, 'jobs:' .. queue, 'cost:' .. queue, 'batch:' .. queue)
      end
    end
    keep(LOAD)
    return true
  end

  return look_at_workers, wait_ms, tidy
end
