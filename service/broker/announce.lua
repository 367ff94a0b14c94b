-- Makes a worker known, with a lease, as one that serves these queues.
-- ARGV[1]  worker
-- ARGV[2]  milliseconds of the lease
-- ARGV[3]  queues, separated by spaces

local worker = ARGV[1]
local claimed = START .. 'claimed:' .. worker
call('PEXPIRE', WORKERS, DAY_MS)
-- Nothing more is handed over from queues that it leaves; for the others it is named when it waits again.
for queue in string.gmatch(call('HGET', claimed, 'serves') or '', '%S+') do
  call('SREM', START .. queue .. ':idle', worker)
end
call('SET', START .. 'lease:' .. worker, ARGV[3], 'PX', ARGV[2])
call('HSETNX', claimed, '', '0 0')
call('HSET', claimed, 'serves', ARGV[3])
call('PEXPIRE', claimed, DAY_MS)
call('SADD', WORKERS, worker)
call('PEXPIRE', WORKERS, DAY_MS)
return 1
