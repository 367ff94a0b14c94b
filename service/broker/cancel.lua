-- Ends a job that nobody waits for any more, wherever it is.
-- ARGV[1]  UUID
-- Returns 1 if it was there

local uuid = ARGV[1]
redis.call('UNLINK', START .. 'job:' .. uuid, START .. 'result:' .. uuid)
local job = find(uuid)
if not job then
  return 0
end
redis.call('LREM', waiting_list(job.queue, job.priority), 1, uuid)
forget(uuid, job)
return 1
