-- To workers that wait: each waits for one batch, whose number stands in the '' field of its claimed hash, and
-- is named in the idle set of each of its queues. The number is the truth; the names are hints that may be stale.

local MAIL_MS = 60000

-- A worker that waits for a job of this queue, and the number of the batch that it waits for; nil where there is none.
local function next_idle(queue)
  local idle = START .. queue .. ':idle'
  while true do
    local worker = call('SRANDMEMBER', idle)
    if not worker then
      return nil
    end
    local awaited = match(call('HGET', START .. 'claimed:' .. worker, '') or '', ' (%d+)$')
    if awaited and awaited ~= '0' then
      return worker, awaited
    end
    call('SREM', idle, worker)
  end
end

local function send(worker, text)
  local mail = START .. 'mail:' .. worker
  call('RPUSH', mail, text)
  call('PEXPIRE', mail, MAIL_MS)
end
