-- Gives a worker its batch of that number; asked again, the same batch.
-- ARGV[1]  worker
-- ARGV[2]  number of the batch
-- ARGV[3]  most jobs in it
-- ARGV[4]  milliseconds of the lease, which this renews
-- ARGV[5]  payloads come with the answer up to so many bytes together; the rest the worker reads itself
-- ARGV[6]  1: look from the low priority upwards, so that it does not starve
-- ARGV[7…] queues, in the order to look at them
-- Returns 'lapsed' where the worker was taken for dead, {} where nothing waits, else
-- {queue, then for each job: UUID, attempts, milliseconds left, payload or nil}

local CLAIM_SLACK_MS = 10000
local worker, number, max_batch, inline_bytes = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[5])

if redis.call('PEXPIRE', START .. 'lease:' .. worker, ARGV[4]) == 0 then
  return 'lapsed'
end
local claimed = START .. 'claimed:' .. worker .. ':' .. number
local batch, closed = {}, false

-- Adds a job to the batch, with its payload while that is small; one whose deadline passed ends instead.
local function add(uuid, job)
  local key, exists = START .. 'job:' .. uuid, nil
  if inline_bytes >= job.bytes then
    job.payload = redis.call('GET', key)
    exists = job.payload
  else
    exists = redis.call('EXISTS', key) == 1
  end
  if not exists then
    forget(uuid, job)
    return false
  end
  inline_bytes = inline_bytes - job.bytes
  job.uuid = uuid
  batch[#batch + 1] = job
  return true
end

-- Takes from the head; a job that came back from a lost worker only if it can be alone.
local function fill(list)
  while #batch < max_batch and not closed do
    local uuids = redis.call('LRANGE', list, 0, max_batch - #batch - 1)
    if #uuids == 0 then
      return
    end
    local popped, taken = 0, {}
    for i, text in ipairs(redis.call('HMGET', ACCEPTED, unpack(uuids))) do
      local job = parsed(text)
      local suspect = job and job.attempts > 0
      closed = suspect and #batch > 0
      if closed then
        break
      end
      popped = popped + 1
      if job and add(uuids[i], job) then
        taken[#taken + 1] = uuids[i]
        closed = suspect
        if closed then
          break
        end
      end
    end
    if popped > 0 then
      redis.call('LPOP', list, popped)
    end
    if #taken > 0 then
      redis.call('RPUSH', claimed, unpack(taken))
    end
  end
end

for _, uuid in ipairs(redis.call('LRANGE', claimed, 0, -1)) do
  local job = find(uuid)
  if not (job and add(uuid, job)) then
    redis.call('LREM', claimed, 1, uuid)
  end
end

if #batch == 0 then
  local priorities = ARGV[6] == '1' and {'low', 'normal', 'high'} or {'high', 'normal', 'low'}
  local queue
  for first = 1, 3 do
    for i = 7, #ARGV do
      fill(waiting_list(ARGV[i], priorities[first]))
      if #batch > 0 then
        queue = ARGV[i]
        break
      end
    end
    if queue then
      for other = first + 1, 3 do
        fill(waiting_list(queue, priorities[other]))
      end
      break
    end
  end
  if not queue then
    return {}
  end
  -- Where it stopped early, others may find something; a ring too many costs one look.
  if closed or #batch == max_batch then
    ring(queue)
  else
    redis.call('DEL', START .. queue .. ':bell')
  end
end

local longest_ms = 0
for _, job in ipairs(batch) do
  job.left_ms = math.max(0, job.deadline - now_ms())
  longest_ms = math.max(longest_ms, job.left_ms)
end
local batches = START .. 'batches:' .. worker
redis.call('SADD', batches, number)
keep(batches, longest_ms + CLAIM_SLACK_MS)
keep(claimed, longest_ms + CLAIM_SLACK_MS)

local reply = {batch[1].queue}
for _, job in ipairs(batch) do
  reply[#reply + 1] = job.uuid
  reply[#reply + 1] = job.attempts
  reply[#reply + 1] = job.left_ms
  reply[#reply + 1] = job.payload or false
end
return reply
