-- Ends a job that nobody waits for any more. Where it is claimed, or came back, its entry is dropped when it is met.
-- ARGV[1]  UUID
-- ARGV[2]  queue
-- ARGV[3]  priority
-- ARGV[4]  entry, as submit returned it; '' where that is unknown
-- Returns 1 if it was there

local there = call('UNLINK', START .. 'job:' .. ARGV[1], START .. 'result:' .. ARGV[1])
if ARGV[4] ~= '' and call('LREM', START .. ARGV[2] .. ':queue:' .. ARGV[3], 1, ARGV[4]) == 1 then
  uncount(ARGV[2], 1, match(ARGV[4], '^%S+ %d+ (%d+)'))
end
return math.min(1, there)
