-- Prolongs the lease of a worker.
-- ARGV[1]  worker
-- ARGV[2]  milliseconds of the lease
-- Returns 0 where the lease ran out: the worker was taken for dead

return call('PEXPIRE', START .. 'lease:' .. ARGV[1], ARGV[2])
