-- Moves the stamp of a unit on, unless pages before it were lost.
-- KEYS[1]  the run's mark on this node
-- KEYS[2]  the recent changes of the shop's dataset (changed.lua), where they are on this node
-- ARGV     the unit, its new stamp, the last stamp that the ledger knows of (0: none), the expiry in ms since 1970
-- Returns the stamp as it was, nothing for none, a space, and the number of the newest change. A stamp that is older than what is known
-- stays: it is the proof of the loss.
local seq = KEYS[2] and redis.call('ZSCORE', KEYS[2], 'seq') or '0'
local have = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if tonumber(have == '' and '0' or have) < tonumber(ARGV[3]) then
  return have .. ' ' .. seq
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIREAT', KEYS[1], ARGV[4])
return have .. ' ' .. seq
