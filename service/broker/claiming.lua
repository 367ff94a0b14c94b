-- Gives a worker its batch of that number; asked again, the same batch, also one that was handed over meanwhile.
-- ARGV from `at` on:
--   number of the batch, above those of all batches before
--   milliseconds of the lease, which this renews
--   payloads come with the answer up to so many bytes together; the rest the worker reads itself
--   turn: 0 looks for the priorities high, normal, low; 1 for normal first, and 2 for low first
--   mode: 0; 1: the worker waits for a batch of that number from now on, where there is none; 2: it computes
--     another batch meanwhile, and must not get a job that was with a lost worker
--   in pairs, in the order to look at them: queue, most jobs in a batch of it
-- Returns 'lapsed' where the worker was taken for dead, {} where nothing waits, else
-- {queue, then for each job: UUID, attempts, milliseconds left, payload or nil}

-- Takes what waits; `given_before`: the batch may be one that the worker was given already.
local function take_batch(worker, at, given_before)
  local number, inline_bytes, ahead = ARGV[at], tonumber(ARGV[at + 2]), ARGV[at + 4] == '2'
  local order = {'high', 'normal', 'low'}
  local first_priority = tonumber(ARGV[at + 3]) + 1
  table.insert(order, 1, table.remove(order, first_priority))
  local claimed = START .. 'claimed:' .. worker
  local batch, payloads, closed, queue = {}, {}, false, nil

  -- Adds candidates of one queue with their payloads, while those are small; one whose job is gone ends. Returns
  -- the UUIDs of those.
  local function add(candidates)
    local images, asked, gone, bytes = {}, {}, {}, 0
    for _, job in ipairs(candidates) do
      if job.bytes <= inline_bytes then
        inline_bytes = inline_bytes - job.bytes
        images[#images + 1] = START .. 'job:' .. job.uuid
        asked[#images] = job
      end
    end
    local found = #images > 0 and call('MGET', unpack(images)) or {}
    for i, job in ipairs(asked) do
      payloads[job.uuid] = found[i]
    end
    for _, job in ipairs(candidates) do
      if payloads[job.uuid] == false then
        gone[#gone + 1] = job.uuid
        bytes = bytes + job.bytes
      else
        batch[#batch + 1] = job
      end
    end
    if #gone > 0 then
      inline_bytes = inline_bytes + bytes
      uncount(queue, #gone, bytes)
    end
    return gone
  end

  -- Takes from the head; a job that was with a lost worker only if it can be alone.
  local function fill(priority, most)
    local list = START .. queue .. ':queue:' .. priority
    while #batch < most and not closed do
      local entries = call('LPOP', list, most - #batch)
      if not entries then
        return
      end
      local candidates, suspect, last = {}, false, #entries
      for i, entry in ipairs(entries) do
        local uuid, deadline, bytes, attempts = match(entry, '^(%S+) (%d+) (%d+) (%d+)')
        suspect = attempts ~= '0'
        if suspect and (ahead or #batch + #candidates > 0) then
          last = i - 1
          break
        end
        candidates[i] = {
          uuid = uuid, deadline = deadline, bytes = tonumber(bytes), attempts = tonumber(attempts),
          priority = priority, entry = entry,
        }
        if suspect then
          last = i
          break
        end
      end
      if last < #entries then
        local rest = {}
        for i = #entries, last + 1, -1 do
          rest[#rest + 1] = entries[i]
        end
        if call('LPUSH', list, unpack(rest)) == #rest then
          call('PEXPIRE', list, DAY_MS)
        end
      end
      add(candidates)
      closed = suspect and (ahead or #batch > 0)
    end
  end

  local function reply()
    local now, rows, row = now_ms(), {queue}, 1
    for _, job in ipairs(batch) do
      rows[row + 1], rows[row + 2], rows[row + 3] = job.uuid, job.attempts, math.max(0, job.deadline - now)
      rows[row + 4] = payloads[job.uuid] or false
      row = row + 4
    end
    return rows
  end

  if given_before then
    local held = {}
    for _, text in ipairs(call('HVALS', claimed)) do
      local job = parsed(text)
      if job and job.number == tonumber(number) then
        held[#held + 1] = job
        queue = job.queue
      end
    end
    table.sort(held, function(a, b) return a.position < b.position end)
    local gone = add(held)
    if #gone > 0 then
      call('HDEL', claimed, unpack(gone))
    end
    call('UNLINK', START .. 'mail:' .. worker)
    if #batch > 0 then
      return reply()
    end
  end

  for first = 1, 3 do
    for i = at + 5, #ARGV, 2 do
      queue, closed = ARGV[i], false
      local most = tonumber(ARGV[i + 1])
      fill(order[first], most)
      if closed and #batch == 0 then
        -- Only ahead: its turn has come. What else waits would keep the worker claiming ahead, and this for ever.
        return nil
      end
      if #batch > 0 then
        for other = first + 1, 3 do
          fill(order[other], most)
        end
        local fields = {'', number .. ' 0'}
        for position, job in ipairs(batch) do
          fields[#fields + 1] = job.uuid
          fields[#fields + 1] = number .. ' ' .. position .. ' ' .. job.priority .. ' ' .. queue .. ' ' .. job.entry
        end
        call('HSET', claimed, unpack(fields))
        return reply()
      end
    end
  end
  return nil
end

-- `place`: the '' field of the worker's claimed hash, where it is known: the number of its last batch, and of that
-- which it waits for or 0.
local function claim(worker, at, place)
  local number, mode, claimed = ARGV[at], ARGV[at + 4], START .. 'claimed:' .. worker
  if call('PEXPIRE', START .. 'lease:' .. worker, ARGV[at + 1]) == 0 then
    return 'lapsed'
  end
  place = place or call('HGET', claimed, '')
  if not place then
    return 'lapsed'
  end
  local given, awaited = match(place, '^(%d+) (%d+)$')
  -- A call that was given up and repeated may still arrive, long after: what it took nobody would know of.
  if tonumber(number) < math.max(given, awaited) then
    return {}
  end
  local lists = {}
  for i = at + 5, #ARGV, 2 do
    local list, last = START .. ARGV[i] .. ':queue:', #lists
    lists[last + 1], lists[last + 2], lists[last + 3] = list .. 'high', list .. 'normal', list .. 'low'
  end
  if given == number or #lists > 0 and call('EXISTS', unpack(lists)) > 0 then
    local batch = take_batch(worker, at, given == number)
    if batch then
      return batch
    end
  end
  if mode == '1' then
    for i = at + 5, #ARGV, 2 do
      local idle = START .. ARGV[i] .. ':idle'
      if call('SADD', idle, worker) == 1 then
        call('PEXPIRE', idle, DAY_MS)
      end
    end
    if awaited ~= number then
      call('HSET', claimed, '', given .. ' ' .. number)
    end
  elseif awaited ~= '0' then
    call('HSET', claimed, '', given .. ' 0')
  end
  return {}
end
