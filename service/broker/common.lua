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

-- From an entry of `accepted`; nil where there is none.
local function parsed(text)
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

-- What is known of a job that has no answer yet, or nil.
local function find(uuid)
  return parsed(redis.call('HGET', ACCEPTED, uuid))
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

-- Ends jobs, at least one: they count no more and their images are gone. Where they are listed is the caller's to clean.
local function forget_all(uuids, jobs)
  local images, differences = {}, {bytes = 0}
  for i, job in ipairs(jobs) do
    images[i] = START .. 'job:' .. uuids[i]
    local field = 'jobs:' .. job.queue
    differences[field] = (differences[field] or 0) - 1
    differences.bytes = differences.bytes - job.bytes
  end
  redis.call('UNLINK', unpack(images))
  redis.call('HDEL', ACCEPTED, unpack(uuids))
  redis.call('ZREM', EXPIRIES, unpack(uuids))
  for field, difference in pairs(differences) do
    count(field, difference)
  end
end

local function forget(uuid, job)
  forget_all({uuid}, {job})
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

-- Ends jobs, at least one, with their answers: the result for whoever asks, and a hint for the web process that waits.
local function answer_all(uuids, jobs, results)
  forget_all(uuids, jobs)
  local hints = {}
  for i, job in ipairs(jobs) do
    local left_ms = math.max(0, job.deadline - now_ms())
    redis.call('SET', START .. 'result:' .. uuids[i], results[i], 'PX', left_ms + RESULT_SLACK_MS)
    local list = hints[job.reply] or {}
    hints[job.reply] = list
    list[#list + 1] = uuids[i] .. ' ' .. results[i]
  end
  for web, list in pairs(hints) do
    local reply = START .. 'reply:' .. web
    redis.call('RPUSH', reply, unpack(list))
    redis.call('PEXPIRE', reply, REPLY_MS)
  end
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
