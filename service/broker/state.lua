-- How much waits, and who is there to do it.
-- Returns {jobs, bytes, then for each queue that has jobs or workers: its name, jobs, live workers, milliseconds of backlog}

-- Else a full queue that nobody serves would stay full for ever: nobody submits to it.
sweep(500)
local live = live_workers()
local jobs, bytes = {}, '0'
local fields = redis.call('HGETALL', LOAD)
for i = 1, #fields, 2 do
  local queue = string.match(fields[i], '^jobs:(.+)$')
  if queue then
    jobs[queue] = tonumber(fields[i + 1])
  else
    bytes = fields[i + 1]
  end
end
local reply = {redis.call('ZCARD', EXPIRIES), bytes}
local function describe(queue)
  reply[#reply + 1] = queue
  reply[#reply + 1] = jobs[queue] or 0
  reply[#reply + 1] = live[queue] or 0
  reply[#reply + 1] = backlog_ms(queue, jobs[queue] or 0, live[queue] or 0)
end
for queue in pairs(jobs) do
  describe(queue)
end
for queue in pairs(live) do
  if not jobs[queue] then
    describe(queue)
  end
end
return reply
