-- Returns jobs of a batch to the head of their queue, in the order given; it does not count as an attempt.
-- ARGV[1]  worker
-- ARGV[2]  number of the batch
-- ARGV[3…] UUIDs
-- Returns how many were in the batch

local claimed = START .. 'claimed:' .. ARGV[1]
local returned = 0
for i = #ARGV, 3, -1 do
  local job = parsed(call('HGET', claimed, ARGV[i]) or '')
  if job and job.number == tonumber(ARGV[2]) then
    call('HDEL', claimed, ARGV[i])
    send_back(job, 'LPUSH')
    returned = returned + 1
  end
end
return returned
