-- The answers of jobs that end: the result for whoever asks, and a hint for the web process that waits.

local REPLY_MS = 60000
local RESULT_SLACK_MS = 5000

-- `jobs`: tables with uuid, deadline (Unix milliseconds, still to come) and reply (the web process).
local function answer_all(jobs, results)
  local hints = {}
  for i, job in ipairs(jobs) do
    call('SET', START .. 'result:' .. job.uuid, results[i], 'PXAT', job.deadline + RESULT_SLACK_MS)
    local hint = job.uuid .. ' ' .. results[i]
    local list = hints[job.reply]
    if list then
      list[#list + 1] = hint
    else
      hints[job.reply] = {hint}
    end
  end
  for web, list in pairs(hints) do
    local reply = START .. 'reply:' .. web
    call('RPUSH', reply, unpack(list))
    call('PEXPIRE', reply, REPLY_MS)
  end
end
