-- Gives keys a new expiry whose own is one that prewarm may have given them before; every other one is left alone.
--
-- KEYS the keys
-- ARGV[1] how many former expiries follow each new one, then by turns for each key: its new expiry in ms, and the former ones
-- returns how many keys have the new one; or the error of the command that failed
local each, moved = 1 + tonumber(ARGV[1]), 0
for k = 1, #KEYS do
  local at = redis.pcall('PEXPIRETIME', KEYS[k]) -- unknown before Redis 7: a table, and equal to nothing
  local first = 2 + (k - 1) * each
  for i = first + 1, first + each - 1 do
    if tonumber(ARGV[i]) == at then
      local reply = at == tonumber(ARGV[first]) or redis.pcall('PEXPIREAT', KEYS[k], ARGV[first])
      if type(reply) == 'table' then
        return reply
      end
      moved = moved + 1
      break
    end
  end
end
return moved
