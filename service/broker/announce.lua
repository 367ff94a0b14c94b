-- Makes a worker known, with a lease, as one that serves these queues.
-- ARGV[1]  worker
-- ARGV[2]  milliseconds of the lease
-- ARGV[3]  queues, separated by spaces

redis.call('PEXPIRE', WORKERS, WORKERS_MS)
redis.call('SET', START .. 'lease:' .. ARGV[1], ARGV[3], 'PX', ARGV[2])
redis.call('SADD', WORKERS, ARGV[1])
redis.call('PEXPIRE', WORKERS, WORKERS_MS)
return 1
