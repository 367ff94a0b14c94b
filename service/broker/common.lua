-- Put in front of every script: what several of them share. The map of the keys is in keys.py.
-- KEYS[1]  start of every key of the partition
--
-- A server that is full under `noeviction` refuses a script's first write if that needs memory, and lets all
-- later ones pass. Scripts that drain therefore begin with a write that needs none: PEXPIRE, UNLINK, HDEL, LREM.

local call, match = redis.call, string.match
local START = KEYS[1]
local DAY_MS = 86400000
local LOAD = START .. 'load'
local WORKERS = START .. 'workers'

local function now_ms()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
