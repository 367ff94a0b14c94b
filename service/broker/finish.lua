-- Answers jobs of a batch and releases them, then claims the next batch: one round trip for both.
-- ARGV[1]  worker
-- ARGV[2]  number of the batch
-- ARGV[3]  milliseconds that the batch took; 0 tells nothing
-- ARGV[4]  how many jobs follow
-- ARGV[5…] UUID and result of each job, in pairs; then, where a batch is wanted, the arguments of claiming.lua
-- Returns {answered, UUIDs that were not: not held in this batch (any more), cancelled, or too late; and what
-- claiming.lua answers, or nothing}

-- The weight of what was known falls by this factor with each job of the batch, and with each batch.
local COST_MEMORY, BATCH_MEMORY = 0.95, 0.8

local worker, number, batch_ms, count = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local claimed = START .. 'claimed:' .. worker

local function take()
  local names, released, images, refused = {''}, {}, {}, {}
  for i = 1, count do
    names[i + 1] = ARGV[3 + 2 * i]
  end
  local held = call('HMGET', claimed, unpack(names))
  local jobs, results, queue, bytes = {}, {}, nil, 0
  for i = 1, count do
    local uuid, text = names[i + 1], held[i + 1]
    local batch, its_queue, deadline, size, reply =
      match(text or '', '^(%d+) %d+ %a+ (%S+) %S+ (%d+) (%d+) %d+ (%S+)$')
    if batch == number then
      queue, bytes = its_queue, bytes + size
      released[#released + 1] = uuid
      images[#images + 1] = START .. 'job:' .. uuid
      jobs[#jobs + 1] = {uuid = uuid, deadline = deadline, reply = reply}
      results[#results + 1] = ARGV[4 + 2 * i]
    else
      refused[#refused + 1] = uuid
    end
  end
  if #released == 0 then
    return held[1], 0, refused
  end

  -- The image goes with the job: where there is none any more, nobody waits for the answer.
  if #images == 1 or call('EXISTS', unpack(images)) < #images then
    local left, texts = {}, {}
    for i, image in ipairs(images) do
      if call('UNLINK', image) == 1 then
        left[#left + 1], texts[#texts + 1] = jobs[i], results[i]
      else
        refused[#refused + 1] = jobs[i].uuid
      end
    end
    jobs, results = left, texts
  else
    call('UNLINK', unpack(images))
  end
  call('HDEL', claimed, unpack(released))
  answer_all(jobs, results)

  local field = 'jobs:' .. queue
  local sums = call('HMGET', LOAD, 'jobs', 'bytes', field, 'cost:' .. queue, 'batch:' .. queue)
  local fields = {'jobs', math.max(0, (sums[1] or 0) - #released), 'bytes', math.max(0, (sums[2] or 0) - bytes),
    field, math.max(0, (sums[3] or 0) - #released)}
  if #jobs > 0 and batch_ms > 0 then
    local function mean(name, known, new, memory)
      fields[#fields + 1] = name .. queue
      fields[#fields + 1] = string.format('%.6f', memory * (known or new) + (1 - memory) * new)
    end
    mean('cost:', sums[4], batch_ms / count, COST_MEMORY ^ count)
    mean('batch:', sums[5], batch_ms, BATCH_MEMORY)
  end
  call('HSET', LOAD, unpack(fields))
  if not sums[1] then
    call('PEXPIRE', LOAD, DAY_MS)
  end
  return held[1], #jobs, refused
end

local place, answered, refused = take()
local reply = {answered, refused}
local at = 5 + 2 * count
if ARGV[at] then
  reply[3] = claim(worker, at, place)
end
return reply
