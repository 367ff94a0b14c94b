-- Wakes one idle worker.
-- ARGV[1]  queue

ring(ARGV[1])
return 1
