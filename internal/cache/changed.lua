-- Notes that keys change now, before they are read from the source again.
-- KEYS[1]  the shop's and dataset's recent changes: a sorted set of ':' and key by the number of their last change. Its
--          member 'seq' has the newest number, 'floor' the greatest of those that were forgotten.
-- ARGV     how long the set lives in ms, how many keys it may hold, then the keys; none: any key of the dataset may change
-- Returns the number.
local seq = redis.call('ZINCRBY', KEYS[1], 1, 'seq')
if #ARGV == 2 then
  redis.call('DEL', KEYS[1])
  redis.call('ZADD', KEYS[1], seq, 'seq', seq, 'floor')
end
for i = 3, #ARGV do
  redis.call('ZADD', KEYS[1], seq, ':' .. ARGV[i])
end
local over = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[2])
if over > 0 then
  local last = redis.call('ZRANGE', KEYS[1], over - 1, over - 1, 'WITHSCORES')
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, over - 1)
  redis.call('ZADD', KEYS[1], last[2], 'floor', seq, 'seq')
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return seq
