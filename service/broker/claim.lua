-- Gives a worker a batch.
-- ARGV[1]  worker
-- ARGV[2…] and the answer: see claiming.lua

return claim(ARGV[1], 2)
