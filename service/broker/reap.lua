-- Takes the batches of workers that are gone, and returns their jobs to the queue.
-- First loss: to the head, to be claimed alone. Second, alone: to the tail. Third, alone again: an error, and the dead list.
-- ARGV[1]  'lapsed': workers whose lease ran out; 'lost': the worker named, whatever its lease;
--          'left': the same, but it ended in good order, which counts as no attempt
-- ARGV[2]  id of a worker, or the start of it up to a '-'; '' (only with 'lapsed'): all, and once in ARGV[3] only
-- ARGV[3]  milliseconds in which one reaper is enough
-- ARGV[4]  result for a job that is given up
-- Returns {workers reaped, jobs returned, jobs given up}

local REAP_SWEEP = 500
local DEAD_MS, DEAD_LENGTH = 86400000, 1000
local mode, name = ARGV[1], ARGV[2]
local reaped, returned, dead = 0, 0, 0

redis.call('PEXPIRE', WORKERS, WORKERS_MS)
if name == '' then
  if not redis.call('SET', START .. 'reaper', '1', 'PX', ARGV[3], 'NX') then
    return {0, 0, 0}
  end
  sweep(REAP_SWEEP)
end

local function is_gone(worker)
  if name ~= '' and worker ~= name and string.sub(worker, 1, #name + 1) ~= name .. '-' then
    return false
  end
  return mode ~= 'lapsed' or redis.call('EXISTS', START .. 'lease:' .. worker) == 0
end

local function take_from_dead(uuid, job)
  if mode == 'left' then
    send_back(uuid, job, 'LPUSH')
    returned = returned + 1
    return
  end
  job.attempts = job.attempts + 1
  if job.attempts > 2 then
    redis.call('LPUSH', START .. 'dead', uuid .. ' ' .. job.queue .. ' lost its worker ' .. job.attempts .. ' times')
    redis.call('LTRIM', START .. 'dead', 0, DEAD_LENGTH - 1)
    redis.call('PEXPIRE', START .. 'dead', DEAD_MS)
    answer_all({uuid}, {job}, {ARGV[4]})
    dead = dead + 1
    return
  end
  remember(uuid, job)
  send_back(uuid, job, job.attempts == 1 and 'LPUSH' or 'RPUSH')
  returned = returned + 1
end

for _, worker in ipairs(redis.call('SMEMBERS', WORKERS)) do
  if is_gone(worker) then
    local batches = START .. 'batches:' .. worker
    local numbers = redis.call('SMEMBERS', batches)
    -- The newest first, each from its end: what is pushed to the head last was claimed first.
    table.sort(numbers, function(a, b) return tonumber(a) > tonumber(b) end)
    for _, number in ipairs(numbers) do
      local claimed = START .. 'claimed:' .. worker .. ':' .. number
      local uuids = redis.call('LRANGE', claimed, 0, -1)
      redis.call('DEL', claimed)
      for i = #uuids, 1, -1 do
        local job = find(uuids[i])
        if job then
          take_from_dead(uuids[i], job)
        end
      end
    end
    redis.call('DEL', batches, START .. 'lease:' .. worker)
    redis.call('SREM', WORKERS, worker)
    reaped = reaped + 1
  end
end
return {reaped, returned, dead}
