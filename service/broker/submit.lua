-- Accepts a job, once: a job of that UUID that is known or answered already stays as it is.
-- ARGV[1]  UUID
-- ARGV[2]  queue, <model>:<version>
-- ARGV[3]  priority: high, normal or low
-- ARGV[4]  id of the web process that waits for the answer
-- ARGV[5]  milliseconds to the deadline
-- ARGV[6]  payload
-- ARGV[7]  most jobs without an answer; 0 admits whatever waits (a job that was accepted before)
-- ARGV[8]  most bytes of their payloads
-- Returns {'accepted' | 'known' | 'answered' | 'full' | 'late', milliseconds of backlog}

local uuid, queue, priority, reply = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local ttl_ms, payload = tonumber(ARGV[5]), ARGV[6]
local max_jobs, max_bytes = tonumber(ARGV[7]), tonumber(ARGV[8])

if redis.call('HEXISTS', ACCEPTED, uuid) == 1 then
  return {'known', 0}
end
if redis.call('EXISTS', START .. 'result:' .. uuid) == 1 then
  return {'answered', 0}
end

local function over_bounds(bytes)
  return tonumber(bytes or '0') + #payload > max_bytes or redis.call('ZCARD', EXPIRIES) >= max_jobs
end

if max_jobs > 0 then
  local load = redis.call('HMGET', LOAD, 'jobs:' .. queue, 'bytes')
  local jobs, over = tonumber(load[1] or '0'), over_bounds(load[2])
  -- More workers only make it shorter: they need not be counted while one alone would be in time.
  if over or (jobs > 0 and backlog_ms(queue, jobs, 1) > ttl_ms) then
    local late_ms = backlog_ms(queue, jobs, live_workers()[queue] or 0)
    if late_ms > ttl_ms then
      return {'late', late_ms}
    end
    while over do
      if not sweep(100) then
        return {'full', late_ms}
      end
      over = over_bounds(redis.call('HGET', LOAD, 'bytes'))
    end
  end
end

-- First, since this is the write that a full server has to refuse.
if not redis.call('SET', START .. 'job:' .. uuid, payload, 'PX', ttl_ms, 'NX') then
  return {'known', 0}
end
local deadline = now_ms() + ttl_ms
remember(uuid, {
  attempts = 0, bytes = #payload, deadline = deadline, priority = priority, queue = queue, reply = reply,
})
redis.call('ZADD', EXPIRIES, deadline, uuid)
redis.call('HINCRBY', LOAD, 'bytes', #payload)
redis.call('HINCRBY', LOAD, 'jobs:' .. queue, 1)
keep_state(ttl_ms)
local list = waiting_list(queue, priority)
if redis.call('RPUSH', list, uuid) == 1 then
  redis.call('PEXPIRE', list, ttl_ms + STATE_SLACK_MS)
else
  keep(list, ttl_ms)
end
ring(queue)
return {'accepted', 0}
