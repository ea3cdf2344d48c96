-- Write a row, unless its key holds a newer version of it: that one stays, and gets the expiry.
--
-- A version is a column's text as dataset/ENCODING.md has it. '' is none, and so is what is no number or no time. None is
-- older than any, and of equals the later is written. Digits are compared as text, since a Lua number loses integers
-- above 2^53; and nothing but digits is compared with <, which follows the server's locale.
--
-- KEYS[1] key
-- ARGV[1] expiry in ms, ARGV[2] the version's column, ARGV[3] order: number, time or text, ARGV[4] the row's version,
-- ARGV[5] how many fields to remove, or -1: a JSON object follows
-- ARGV[6] the object; or the fields to remove, and then field and value by turns
-- returns OK or a number, or the error of the command that failed
local key, column, order, drops = KEYS[1], ARGV[2], ARGV[3], tonumber(ARGV[5])

local old
if drops < 0 then
  old = redis.pcall('GET', key)
else
  old = redis.pcall('HGET', key, column)
end

if type(old) == 'string' then -- false: nothing is there; a table: an error, as of a key of another type
  local match, find, sub, gsub, byte = string.match, string.find, string.sub, string.gsub, string.byte

  -- The text of the string or number that begins at a place; '' if none does.
  local function scalar(text, at)
    local v = match(text, '^"([^"\\]*)"', at) or match(text, '^(%-?%d+%.?%d*)[,}%s]', at)
    if v then
      return v
    end
    local behind = match(gsub(text, '\\.', '__'), '^"[^"]*"()', at)
    local ok, list = pcall(cjson.decode, '[' .. sub(text, at, (behind or at) - 1) .. ']')
    return ok and list[1] or ''
  end

  -- The version in an object. Its label cannot stand in a string, where quotes are escaped. It is the object's own if
  -- nothing was opened before it, or nothing but the object is closed behind it. In doubt every string and bracket is
  -- looked at, which takes a microsecond for each.
  local function member(text)
    local label = '"' .. column .. '":'
    local from = sub(text, 1, 1 + #label) == '{' .. label and 1 or find(text, ',' .. label, 1, true)
    while from do
      local at = from + 1 + #label
      if (find(text, '{', 2, true) or from) >= from and (find(text, '[', 1, true) or from) >= from
        or find(text, '}', at, true) == #text and not find(text, ']', at, true) then
        return scalar(text, at)
      end
      from = find(text, ',' .. label, at, true)
    end
    local plain, depth = gsub(text, '\\.', '__'), 0
    local at = find(plain, '["{}%[%]]')
    while at do
      local c = byte(plain, at)
      if c == 34 then -- a string
        local close = find(plain, '"', at + 1, true)
        if not close then
          return ''
        end
        if depth == 1 and sub(text, at + 1, close - 1) == column then
          local value = match(plain, '^%s*:%s*()', close + 1)
          if value then
            return scalar(text, value)
          end
        end
        at = close
      elseif c == 123 or c == 91 then
        depth = depth + 1
      else
        depth = depth - 1
      end
      at = find(plain, '["{}%[%]]', at + 1)
    end
    return ''
  end

  -- The sign, the digits before the point and those behind it.
  local function digits(v)
    if order == 'number' then
      return match(v, '^(%-?)0*(%d+)%.?(%d*)$')
    end
    if #v == 10 then
      v = v .. ' 00:00:00'
    end
    local y, m, d, h, min, s, fraction = match(v, '^(%d%d%d%d)%-(%d%d)%-(%d%d) (%d%d):(%d%d):(%d%d)%.?(%d*)$')
    if y then
      return '', y .. m .. d .. h .. min .. s, fraction
    end
  end

  -- Whether version a is older than version b.
  local function older(a, b)
    if order == 'text' then
      for i = 1, math.min(#a, #b) do
        if byte(a, i) ~= byte(b, i) then
          return byte(a, i) < byte(b, i)
        end
      end
      return #a < #b
    end
    local sign, whole, fraction = digits(a)
    local sign2, whole2, fraction2 = digits(b)
    if not sign or not sign2 then
      return sign2 ~= nil and sign == nil
    end
    if sign ~= sign2 then
      return sign == '-'
    end
    if sign == '-' then
      return older(sub(b, 2), sub(a, 2))
    end
    if #whole ~= #whole2 then
      return #whole < #whole2
    end
    if whole ~= whole2 then
      return whole < whole2
    end
    return fraction .. string.rep('0', #fraction2 - #fraction) < fraction2 .. string.rep('0', #fraction - #fraction2)
  end

  if drops < 0 then
    old = member(old)
  end
  if ARGV[4] ~= old and older(ARGV[4], old) then
    return redis.pcall('PEXPIREAT', key, ARGV[1])
  end
end

if drops < 0 then
  return redis.pcall('SET', key, ARGV[6], 'PXAT', ARGV[1])
end
-- In parts, because unpack is bounded by Lua's stack.
for _, part in ipairs({ { 'HDEL', 6, 5 + drops }, { 'HSET', 6 + drops, #ARGV } }) do
  for i = part[2], part[3], 1000 do
    local reply = redis.pcall(part[1], key, unpack(ARGV, i, math.min(i + 999, part[3])))
    if type(reply) == 'table' then
      return reply
    end
  end
end
return redis.pcall('PEXPIREAT', key, ARGV[1])
