import { createHash } from 'node:crypto';

/** A Lua script: what it does to all its keys happens as one, and Redis knows it by the digest of its text. */
export interface Script {
  readonly lua: string;
  readonly sha1: string;
}

/** Digits of a fencing token: microseconds since 1970 have as many until the year 2286. */
export const TOKEN_DIGITS = 16;

/*
 * What lies under a key:
 *
 *     (nothing)        never claimed, given back, or forgotten
 *     <token><until>   claimed until that time, in milliseconds since 1970; 13 digits more than a token
 *     <token>          done; an integer, which Redis keeps in the pointer's place
 */

/**
 * KEYS: the last token that was given here, then the keys. ARGV: the lease in milliseconds; how much longer a claim is
 * known, in milliseconds; the stride of tokens and their remainder. Answers by key: the token; 0: done; -1: busy.
 *
 * Tokens follow Redis' own time, so that they rise even where everything that Redis knew is gone; and the last one, so that they
 * rise even where its clock is set back. Most keys are new: setting those that are not there is one command for each, not two.
 */
export const claimScript = script(`
local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
local now = math.floor(micros / 1000)
local lease, known = tonumber(ARGV[1]), tonumber(ARGV[2])
local stride, remainder = tonumber(ARGV[3]), tonumber(ARGV[4])
local token = math.max(micros, (tonumber(redis.call('GET', KEYS[1]) or 0)) + 1)
token = token + (remainder - token) % stride
local untilText, life = string.format('%.0f', now + lease), string.format('%.0f', lease + known)
local outcomes, last = {}, nil
local mine = string.format('%.0f', token)
for i = 2, #KEYS do
  local key = KEYS[i]
  local isMine = redis.call('SET', key, mine .. untilText, 'PX', life, 'NX')
  if not isMine then
    local held = redis.call('GET', key)
    if #held == ${TOKEN_DIGITS} then
      outcomes[i - 1] = 0
    elseif tonumber(string.sub(held, ${TOKEN_DIGITS + 1})) > now then
      outcomes[i - 1] = -1
    else
      isMine = redis.call('SET', key, mine .. untilText, 'PX', life)
    end
  end
  if isMine then
    outcomes[i - 1] = token
    last, token = mine, token + stride
    mine = string.format('%.0f', token)
  end
end
if last then redis.call('SET', KEYS[1], last, 'PX', ${24 * 60 * 60 * 1000}) end
return outcomes
`);

/** KEYS: the keys. ARGV: how long a done key is remembered, in milliseconds; then the tokens. Answers by key: 1: done; 0: overtaken. */
export const commitScript = script(`
local answers = {}
for i = 1, #KEYS do
  local held, token = redis.call('GET', KEYS[i]), ARGV[i + 1]
  answers[i] = 0
  if held == token then
    answers[i] = 1
  elseif held and #held > ${TOKEN_DIGITS} and string.sub(held, 1, ${TOKEN_DIGITS}) == token then
    redis.call('SET', KEYS[i], token, 'PX', ARGV[1])
    answers[i] = 1
  end
end
return answers
`);

/** KEYS: the keys. ARGV: the tokens. Answers by key: 1: given back; 0: overtaken. */
export const releaseScript = script(`
local answers = {}
for i = 1, #KEYS do
  local held = redis.call('GET', KEYS[i])
  answers[i] = 0
  if held and #held > ${TOKEN_DIGITS} and string.sub(held, 1, ${TOKEN_DIGITS}) == ARGV[i] then
    redis.call('DEL', KEYS[i])
    answers[i] = 1
  end
end
return answers
`);

function script(lua: string): Script {
  return { lua, sha1: createHash('sha1').update(lua).digest('hex') };
}
