-- Moves the stamp of a unit on, unless pages before it were lost.
-- KEYS[1]  the run's mark on this node
-- ARGV     the unit, its new stamp, the last stamp that the ledger knows of (0: none), the expiry in ms since 1970
-- Returns the stamp as it was, '' for none. One that is older than what is known stays: it is the proof of the loss.
local have = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if tonumber(have == '' and '0' or have) < tonumber(ARGV[3]) then
  return have
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIREAT', KEYS[1], ARGV[4])
return have
