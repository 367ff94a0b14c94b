-- Jobs that a worker held, and that go back to their queue.

-- Puts a job back by LPUSH or RPUSH, and has an idle worker look; false where it was cancelled or its deadline
-- passed, and it ends.
local function send_back(job, command)
  if call('EXISTS', START .. 'job:' .. job.uuid) == 0 then
    uncount(job.queue, 1, job.bytes)
    return false
  end
  local list = START .. job.queue .. ':queue:' .. job.priority
  local entry = string.format('%s %d %d %d %s', job.uuid, job.deadline, job.bytes, job.attempts, job.reply)
  if call(command, list, entry) == 1 then
    call('PEXPIRE', list, DAY_MS)
  end
  local worker = next_idle(job.queue)
  if worker then
    send(worker, '')
    call('SREM', START .. job.queue .. ':idle', worker)
  end
  return true
end
