-- Write a key that is not there. One that prewarm wrote before gets the expiry; every other one is left alone.
--
-- KEYS[1] key
-- ARGV[1] expiry in ms, ARGV[2] how many expiries follow that prewarm may have given the key before, then these, then
-- nothing (expiry only), a value, or field and value by turns
-- returns OK or a number, or the error of the command that failed
local key, first = KEYS[1], 3 + tonumber(ARGV[2])

if redis.call('EXISTS', key) == 1 then
  local at = redis.pcall('PEXPIRETIME', key) -- unknown before Redis 7: a table, and equal to nothing
  for i = 3, first - 1 do
    if tonumber(ARGV[i]) == at then
      return redis.pcall('PEXPIREAT', key, ARGV[1])
    end
  end
  return 0
end

if first > #ARGV then
  return 0
elseif first == #ARGV then
  return redis.pcall('SET', key, ARGV[first], 'PXAT', ARGV[1])
end
for i = first, #ARGV, 1000 do -- in parts, because unpack is bounded by Lua's stack
  local reply = redis.pcall('HSET', key, unpack(ARGV, i, math.min(i + 999, #ARGV)))
  if type(reply) == 'table' then
    return reply
  end
end
return redis.pcall('PEXPIREAT', key, ARGV[1])
