-- Returns jobs of a batch to the head of their queue, in the order given; it does not count as an attempt.
-- ARGV[1]  worker
-- ARGV[2]  number of the batch
-- ARGV[3…] UUIDs
-- Returns how many were in the batch

local worker, number = ARGV[1], ARGV[2]
local claimed = START .. 'claimed:' .. worker .. ':' .. number
local returned = 0
for i = #ARGV, 3, -1 do
  if redis.call('LREM', claimed, 1, ARGV[i]) == 1 then
    returned = returned + 1
    local job = find(ARGV[i])
    if job then
      send_back(ARGV[i], job, 'LPUSH')
    end
  end
end
if redis.call('EXISTS', claimed) == 0 then
  redis.call('SREM', START .. 'batches:' .. worker, number)
end
return returned
