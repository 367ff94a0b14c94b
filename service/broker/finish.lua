-- Answers jobs of a batch and releases them, in one step; a job that is not in the batch (any more) is passed over.
-- ARGV[1]  worker
-- ARGV[2]  number of the batch
-- ARGV[3]  milliseconds that the batch took; 0 tells nothing
-- ARGV[4…] UUID and result of each job, in pairs
-- Returns how many were answered by this call

local COST_MS = 3600000
-- The weight of what was known falls by this factor with each job of the batch.
local COST_MEMORY = 0.95

local worker, number, batch_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local claimed = START .. 'claimed:' .. worker .. ':' .. number
local answered, queue = 0, nil
for i = 4, #ARGV, 2 do
  local uuid, result = ARGV[i], ARGV[i + 1]
  if redis.call('LREM', claimed, 1, uuid) == 1 then
    local job = find(uuid)
    if job then
      answer(uuid, job, result)
      answered = answered + 1
      queue = job.queue
    end
  end
end
if redis.call('EXISTS', claimed) == 0 then
  redis.call('SREM', START .. 'batches:' .. worker, number)
end
if answered > 0 and batch_ms > 0 then
  local key = START .. queue .. ':cost'
  local jobs = (#ARGV - 3) / 2
  local cost = batch_ms / jobs
  local known = tonumber(redis.call('GET', key) or cost)
  local memory = COST_MEMORY ^ jobs
  redis.call('SET', key, string.format('%.6f', memory * known + (1 - memory) * cost), 'PX', COST_MS)
end
return answered
