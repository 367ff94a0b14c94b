-- A job that is claimed, and the end of one. From submit until then it has an entry, in a list or a claimed hash,
-- and counts in the sums.

-- From a value of a claimed hash; nil for its other fields.
local function parsed(held)
  local number, position, priority, queue, uuid, deadline, bytes, attempts, reply =
    match(held, '^(%d+) (%d+) (%a+) (%S+) (%S+) (%d+) (%d+) (%d+) (%S+)$')
  return number and {
    number = tonumber(number), position = tonumber(position), priority = priority, queue = queue, uuid = uuid,
    deadline = tonumber(deadline), bytes = tonumber(bytes), attempts = tonumber(attempts), reply = reply,
  }
end

-- Ends `jobs` jobs of one queue, of so many bytes together.
local function uncount(queue, jobs, bytes)
  local field = 'jobs:' .. queue
  local sums = call('HMGET', LOAD, 'jobs', 'bytes', field)
  if sums[1] then
    call('HSET', LOAD, 'jobs', math.max(0, sums[1] - jobs), 'bytes', math.max(0, sums[2] - bytes),
      field, math.max(0, (sums[3] or 0) - jobs))
  end
end
