-- Takes the jobs of workers that are gone, and returns them to the queue.
-- First loss: to the head, to be claimed alone. Second, alone: to the tail. Third, alone again: an error, and the
-- dead list; the second already where the worker ended by its own fault.
-- ARGV[1]  'lapsed': workers whose lease ran out; 'lost': the worker named, whatever its lease; 'crashed': the same,
--          and it ended by its own fault; 'left': the same, but it ended in good order, which counts as no attempt
-- ARGV[2]  id of a worker, or the start of it up to a '-'; '' (only with 'lapsed'): all, and once in ARGV[3] only
-- ARGV[3]  milliseconds in which one reaper is enough
-- ARGV[4]  result for a job that is given up
-- Returns {workers reaped, jobs returned, jobs given up}

local DEAD_LENGTH = 1000
local mode, name = ARGV[1], ARGV[2]
local most_attempts = mode == 'crashed' and 1 or 2
local reaped, returned, given_up = 0, 0, 0

call('PEXPIRE', WORKERS, DAY_MS)
if name == '' then
  if not call('SET', START .. 'reaper', '1', 'PX', ARGV[3], 'NX') then
    return {0, 0, 0}
  end
  local look_at_workers, _, tidy = looking()
  tidy(look_at_workers())
end

local function is_gone(worker)
  if name ~= '' and worker ~= name and string.sub(worker, 1, #name + 1) ~= name .. '-' then
    return false
  end
  return mode ~= 'lapsed' or call('EXISTS', START .. 'lease:' .. worker) == 0
end

local function give_up(job)
  if call('UNLINK', START .. 'job:' .. job.uuid) == 1 then
    local dead = START .. 'dead'
    call('LPUSH', dead, job.uuid .. ' ' .. job.queue .. ' lost its worker ' .. job.attempts .. ' times')
    call('LTRIM', dead, 0, DEAD_LENGTH - 1)
    call('PEXPIRE', dead, DAY_MS)
    answer_all({job}, {ARGV[4]})
    given_up = given_up + 1
  end
  uncount(job.queue, 1, job.bytes)
end

-- `counts`: whether the worker may have worked on it; `alone`: whether on nothing but its batch.
local function take_back(job, counts, alone)
  if counts then
    if alone and job.attempts >= most_attempts then
      job.attempts = job.attempts + 1
      give_up(job)
      return
    end
    -- Beside another batch it need not have been this one: it is tried alone, and comes no nearer to the end.
    job.attempts = alone and job.attempts + 1 or math.max(job.attempts, 1)
  end
  if send_back(job, counts and job.attempts > 1 and 'RPUSH' or 'LPUSH') then
    returned = returned + 1
  end
end

local function reap(worker)
  local claimed, mail = START .. 'claimed:' .. worker, START .. 'mail:' .. worker
  -- What was handed over and lies there still was not looked at.
  local unread, numbers, batches, jobs = {}, {}, 0, {}
  for _, text in ipairs(call('LRANGE', mail, 0, -1)) do
    unread[tonumber(match(text, '^%d+') or 0)] = true
  end
  for queue in string.gmatch(call('HGET', claimed, 'serves') or '', '%S+') do
    call('SREM', START .. queue .. ':idle', worker)
  end
  for _, held in ipairs(call('HVALS', claimed)) do
    local job = parsed(held)
    if job then
      jobs[#jobs + 1] = job
      if not (numbers[job.number] or unread[job.number]) then
        numbers[job.number] = true
        batches = batches + 1
      end
    end
  end
  call('UNLINK', claimed, mail, START .. 'lease:' .. worker)
  call('SREM', WORKERS, worker)
  -- The last first: what is pushed to the head last was claimed first.
  table.sort(jobs, function(a, b)
    return a.number > b.number or a.number == b.number and a.position > b.position
  end)
  for _, job in ipairs(jobs) do
    take_back(job, mode ~= 'left' and not unread[job.number], batches == 1)
  end
  reaped = reaped + 1
end

for _, worker in ipairs(call('SMEMBERS', WORKERS)) do
  if is_gone(worker) then
    reap(worker)
  end
end
return {reaped, returned, given_up}
