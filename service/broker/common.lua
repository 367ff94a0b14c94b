-- Put in front of every script: the keys of one partition, and what several scripts do to a job.
-- KEYS[1]  start of every key of the partition; the map of the keys is in keys.py
--
-- A server that is full under `noeviction` refuses a script's first write if that needs memory, and lets all
-- later ones pass. Scripts that drain therefore begin with a write that needs none: PEXPIRE, UNLINK, LREM.

local START = KEYS[1]
local STATE_SLACK_MS = 60000
local RESULT_SLACK_MS = 5000
local REPLY_MS = 60000
local BELL_MS = 60000
local WORKERS_MS = 86400000

local ACCEPTED = START .. 'accepted'
local EXPIRIES = START .. 'expiries'
local LOAD = START .. 'load'
local WORKERS = START .. 'workers'

local began_ms
local function now_ms()
  if not began_ms then
    local time = redis.call('TIME')
    began_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return began_ms
end

-- Lets a shared key live for `ms` from now, if it would not anyway.
local function keep(key, ms)
  if redis.call('PTTL', key) < ms then
    redis.call('PEXPIRE', key, ms)
  end
end

-- Keeps the state for a job with so many milliseconds to its deadline. The three keys come and go together, and
-- are prolonged together and not for each job: they must lapse in the same moment, or their sums would differ.
local function keep_state(ttl_ms)
  if redis.call('PTTL', ACCEPTED) < ttl_ms + STATE_SLACK_MS / 2 then
    for _, key in ipairs({ACCEPTED, EXPIRIES, LOAD}) do
      redis.call('PEXPIRE', key, ttl_ms + STATE_SLACK_MS)
    end
  end
end

local function waiting_list(queue, priority)
  return START .. queue .. ':queue:' .. priority
end

-- What is known of a job that has no answer yet, or nil.
local function find(uuid)
  local text = redis.call('HGET', ACCEPTED, uuid)
  if not text then
    return nil
  end
  local attempts, bytes, deadline, priority, queue, reply =
    string.match(text, '^(%d+) (%d+) (%d+) (%a+) (%S+) (%S+)$')
  return {
    attempts = tonumber(attempts), bytes = tonumber(bytes), deadline = tonumber(deadline),
    priority = priority, queue = queue, reply = reply,
  }
end

local function remember(uuid, job)
  redis.call('HSET', ACCEPTED, uuid,
    string.format('%d %d %.0f %s %s %s', job.attempts, job.bytes, job.deadline, job.priority, job.queue, job.reply))
end

local function count(field, difference)
  if redis.call('HINCRBY', LOAD, field, difference) <= 0 then
    redis.call('HDEL', LOAD, field)
  end
end

-- Ends a job: it counts no more and its image is gone. Where it is listed is the caller's to clean.
local function forget(uuid, job)
  redis.call('UNLINK', START .. 'job:' .. uuid)
  redis.call('HDEL', ACCEPTED, uuid)
  redis.call('ZREM', EXPIRIES, uuid)
  count('bytes', -job.bytes)
  count('jobs:' .. job.queue, -1)
end

-- Ends up to `limit` jobs whose deadline passed; true where there were any.
local function sweep(limit)
  local uuids = redis.call('ZRANGEBYSCORE', EXPIRIES, '-inf', now_ms(), 'LIMIT', 0, limit)
  for _, uuid in ipairs(uuids) do
    local job = find(uuid)
    redis.call('LREM', waiting_list(job.queue, job.priority), 1, uuid)
    forget(uuid, job)
  end
  return #uuids > 0
end

-- One element is enough: a blocked worker takes it at once, and a claim that leaves jobs behind rings again.
local function ring(queue)
  local bell = START .. queue .. ':bell'
  if redis.call('LLEN', bell) == 0 then
    redis.call('RPUSH', bell, '1')
    redis.call('PEXPIRE', bell, BELL_MS)
  end
end

-- Puts a job that was claimed back into its queue; one whose deadline passed ends instead.
local function send_back(uuid, job, command)
  if redis.call('EXISTS', START .. 'job:' .. uuid) == 0 then
    forget(uuid, job)
    return
  end
  local list = waiting_list(job.queue, job.priority)
  redis.call(command, list, uuid)
  keep(list, redis.call('PTTL', ACCEPTED))
  ring(job.queue)
end

-- Ends a job with its answer: the result for whoever asks, and a hint for the web process that waits.
local function answer(uuid, job, result)
  local left_ms = math.max(0, job.deadline - now_ms())
  forget(uuid, job)
  redis.call('SET', START .. 'result:' .. uuid, result, 'PX', left_ms + RESULT_SLACK_MS)
  local reply = START .. 'reply:' .. job.reply
  redis.call('RPUSH', reply, uuid .. ' ' .. result)
  redis.call('PEXPIRE', reply, REPLY_MS)
end

-- Queue -> number of workers with a lease that serve it.
local function live_workers()
  local live = {}
  for _, worker in ipairs(redis.call('SMEMBERS', WORKERS)) do
    local serves = redis.call('GET', START .. 'lease:' .. worker)
    for queue in string.gmatch(serves or '', '%S+') do
      live[queue] = (live[queue] or 0) + 1
    end
  end
  return live
end

-- Milliseconds until what the queue holds now will be done: jobs x measured cost / live workers; 0 if unknown.
local function backlog_ms(queue, jobs, workers)
  local cost = tonumber(redis.call('GET', START .. queue .. ':cost') or '0')
  if workers == 0 then
    return 0
  end
  return math.ceil(jobs * cost / workers)
end
