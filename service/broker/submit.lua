-- Accepts a job, once, and hands it to a worker that waits, or puts it into its queue.
-- ARGV[1]  UUID
-- ARGV[2]  queue, <model>:<version>
-- ARGV[3]  priority: high, normal or low
-- ARGV[4]  id of the web process that waits for the answer
-- ARGV[5]  milliseconds to the deadline
-- ARGV[6]  payload
-- ARGV[7]  most jobs without an answer; 0 admits whatever waits (a job that was accepted before)
-- ARGV[8]  most bytes of their payloads
-- ARGV[9]  1: a repetition, the job may be known or answered already
-- Returns {'accepted' | 'known' | 'answered' | 'full' | 'late', milliseconds that it would take, the entry or ''}

-- Larger payloads are fetched by the worker: each copy of one that the mail makes would hold everybody up.
local MAIL_BYTES = 65536
-- Of so many batches each priority comes first in one at least, whatever waits above it; see claims.py.
local TURNS = 8
local uuid, queue, priority, ttl_ms, payload = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[5]), ARGV[6]
local job, field = START .. 'job:' .. uuid, 'jobs:' .. queue
local max_jobs, max_bytes = tonumber(ARGV[7]), tonumber(ARGV[8])

if ARGV[9] == '1' then
  if call('EXISTS', START .. 'result:' .. uuid) == 1 then
    return {'answered', 0, ''}
  elseif call('EXISTS', job) == 1 then
    return {'known', 0, ''}
  end
end

local sums, jobs, bytes, queued
local function look()
  sums = call('HMGET', LOAD, 'jobs', 'bytes', field, 'cost:' .. queue, 'batch:' .. queue)
  jobs, bytes, queued = (sums[1] or 0) + 1, (sums[2] or 0) + #payload, (sums[3] or 0) + 1
  return jobs > max_jobs or bytes > max_bytes
end

-- Whether more than a batch of higher priority waits: then those that still come go before this job as well, and
-- only the turns of its own priority are left to it. And how many of its own are before it.
local function overtaken(cost, batch)
  if priority == 'high' or not (cost and batch) then
    return false
  end
  local list = START .. queue .. ':queue:'
  local higher = call('LLEN', list .. 'high') + (priority == 'low' and call('LLEN', list .. 'normal') or 0)
  return higher * cost >= tonumber(batch), call('LLEN', list .. priority)
end

local over = look()
if max_jobs > 0 then
  -- More workers only make it shorter: they need not be counted while one alone would be in time.
  local others, cost, batch = queued - 1, sums[4], sums[5]
  local turns = priority == 'high' and 1 or TURNS
  if over or (others > 0 and cost and (others * cost + (batch or 0)) * turns * 1.1 > ttl_ms) then
    local look_at_workers, wait_ms, tidy = looking()
    local workers, live = look_at_workers()
    local late_ms = wait_ms(others, cost, batch, live[queue])
    local is_overtaken, own = overtaken(cost, batch)
    if is_overtaken then
      late_ms = math.max(late_ms, wait_ms(own * TURNS + 1, cost, batch * TURNS, live[queue]))
    end
    if late_ms > ttl_ms then
      return {'late', late_ms, ''}
    end
    if over and not (tidy(workers, live) and not look()) then
      return {'full', late_ms, ''}
    end
  end
end

-- First, since this is the write that a full server has to refuse.
if not call('SET', job, payload, 'PX', ttl_ms, 'NX') then
  return {'known', 0, ''}
end
local entry = string.format('%s %d %d 0 %s', uuid, now_ms() + ttl_ms, #payload, ARGV[4])
local worker, number = next_idle(queue)
if worker then
  call('HSET', START .. 'claimed:' .. worker, '', number .. ' 0',
    uuid, number .. ' 1 ' .. priority .. ' ' .. queue .. ' ' .. entry)
  local header = number .. ' ' .. queue .. ' ' .. uuid .. ' ' .. ARGV[5]
  send(worker, #payload <= MAIL_BYTES and header .. '\n' .. payload or header)
else
  local list = START .. queue .. ':queue:' .. priority
  if call('RPUSH', list, entry) == 1 then
    call('PEXPIRE', list, DAY_MS)
  end
end
call('HSET', LOAD, 'jobs', jobs, 'bytes', bytes, field, queued)
if not sums[1] then
  call('PEXPIRE', LOAD, DAY_MS)
end
return {'accepted', 0, entry}
