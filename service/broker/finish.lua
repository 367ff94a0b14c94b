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
local held, left = {}, 0
for _, uuid in ipairs(redis.call('LRANGE', claimed, 0, -1)) do
  held[uuid] = true
  left = left + 1
end

local released, results = {}, {}
for i = 4, #ARGV, 2 do
  local uuid = ARGV[i]
  if held[uuid] then
    held[uuid] = nil
    left = left - 1
    released[#released + 1] = uuid
    results[#results + 1] = ARGV[i + 1]
  end
end

local uuids, jobs, answers = {}, {}, {}
if #released > 0 then
  for i, text in ipairs(redis.call('HMGET', ACCEPTED, unpack(released))) do
    local job = parsed(text)
    if job then
      uuids[#uuids + 1], jobs[#jobs + 1], answers[#answers + 1] = released[i], job, results[i]
    end
  end
end
local answered = #uuids
if answered > 0 then
  answer_all(uuids, jobs, answers)
end
if left == 0 then
  redis.call('DEL', claimed)
  redis.call('SREM', START .. 'batches:' .. worker, number)
else
  for _, uuid in ipairs(released) do
    redis.call('LREM', claimed, 1, uuid)
  end
end
if answered > 0 and batch_ms > 0 then
  local key = START .. jobs[1].queue .. ':cost'
  local computed = (#ARGV - 3) / 2
  local cost = batch_ms / computed
  local known = tonumber(redis.call('GET', key) or cost)
  local memory = COST_MEMORY ^ computed
  redis.call('SET', key, string.format('%.6f', memory * known + (1 - memory) * cost), 'PX', COST_MS)
end
return answered
