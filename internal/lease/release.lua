-- Releases a lock if it is the caller's.
-- KEYS[1]  the lock
-- ARGV[1]  the token; the lock's value begins with it, and metadata follows
-- Returns 1 if the lock was released, 0 if it is not there or another's.
local value = redis.call("GET", KEYS[1])
if value and string.sub(value, 1, #ARGV[1]) == ARGV[1] then
  return redis.call("DEL", KEYS[1])
end
return 0
