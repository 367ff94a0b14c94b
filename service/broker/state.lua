-- How much waits, and who is there to do it.
-- Returns {jobs, bytes, then for each queue that has jobs or workers: its name, jobs, live workers, and
-- the milliseconds that one more would take}

local look_at_workers, wait_ms, tidy = looking()
local workers, live = look_at_workers()
-- Else a full queue that nobody serves would stay full for ever: nobody submits to it.
tidy(workers, live)
local load, queues = {}, {}
for queue in pairs(live) do
  queues[queue] = true
end
local fields = call('HGETALL', LOAD)
for i = 1, #fields, 2 do
  load[fields[i]] = tonumber(fields[i + 1])
  local queue = match(fields[i], '^jobs:(.+)$')
  if queue and fields[i + 1] ~= '0' then
    queues[queue] = true
  end
end
local reply = {load.jobs or 0, string.format('%.0f', load.bytes or 0)}
for queue in pairs(queues) do
  local jobs = load['jobs:' .. queue] or 0
  reply[#reply + 1] = queue
  reply[#reply + 1] = jobs
  reply[#reply + 1] = live[queue] or 0
  reply[#reply + 1] = wait_ms(jobs, load['cost:' .. queue], load['batch:' .. queue], live[queue])
end
return reply
