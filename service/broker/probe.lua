-- What became of jobs that have waited for long.
-- ARGV     UUIDs
-- Returns for each: its result, or 1 where it is waiting or being computed, or 0 where nothing is known of it

local states = {}
for i, uuid in ipairs(ARGV) do
  states[i] = call('GET', START .. 'result:' .. uuid) or call('EXISTS', START .. 'job:' .. uuid)
end
return states
