/** What Redis does in one step, whoever else writes at the same time. */
import type { ClientContext, Redis, Result } from 'ioredis'

/**
 * Takes an entry if its version is higher than the one that is there; answers whether it did. An erased entry leaves its
 * version behind for a while, so that a slower writer cannot bring back what was erased. The profile's id is taken off
 * the sets of identifiers it no longer has, and put on those it has now.
 *
 * KEYS  the entry
 * ARGV  generation, offset, value ('' erases), profile id, identifiers joined by spaces, prefix of their sets,
 *       seconds that the version of an erased entry stays
 */
const takeEntry = `
local known = redis.call('HMGET', KEYS[1], 'generation', 'offset', 'identifiers')
local generation, offset = tonumber(ARGV[1]), tonumber(ARGV[2])
if known[1] then
  local knownGeneration, knownOffset = tonumber(known[1]), tonumber(known[2])
  if knownGeneration > generation or (knownGeneration == generation and knownOffset >= offset) then return 0 end
end
local before = known[3] or ''
if before ~= ARGV[5] then
  local stays = {}
  for identifier in string.gmatch(ARGV[5], '%S+') do
    stays[identifier] = true
    redis.call('SADD', ARGV[6] .. identifier, ARGV[4])
  end
  for identifier in string.gmatch(before, '%S+') do
    if not stays[identifier] then redis.call('SREM', ARGV[6] .. identifier, ARGV[4]) end
  end
end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], 'value', 'identifiers')
  redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'offset', ARGV[2])
  redis.call('EXPIRE', KEYS[1], ARGV[7])
else
  redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'offset', ARGV[2], 'value', ARGV[3])
  if ARGV[5] ~= '' then redis.call('HSET', KEYS[1], 'identifiers', ARGV[5]) elseif before ~= '' then redis.call('HDEL', KEYS[1], 'identifiers') end
  redis.call('PERSIST', KEYS[1])
end
return 1
`

/**
 * Where a partition is to be taken up: where it was left, or at `start` when nothing is known of it.
 *
 * KEYS  the positions
 * ARGV  origin (names the log), field, start, stable end
 * Answers the offset, or -1 when the positions are of another log; and for how many ms nobody has moved it.
 */
const takeUpPosition = `
local origin = redis.call('HGET', KEYS[1], 'origin')
if origin and origin ~= ARGV[1] then return {-1, 0} end
if not origin then redis.call('HSET', KEYS[1], 'origin', ARGV[1]) end
local time = redis.call('TIME')
local nowMs = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HGET', KEYS[1], ARGV[2])
if not known then
  redis.call('HSET', KEYS[1], ARGV[2], string.format('%s %s %.0f', ARGV[3], ARGV[4], nowMs))
  return {tonumber(ARGV[3]), 0}
end
local offset, atMs = string.match(known, '^(%d+) %d+ (%d+)$')
return {tonumber(offset), nowMs - tonumber(atMs)}
`

/**
 * Moves a position on. Not when Redis stands before `from`: it has lost what was written since. Nor when nobody has moved
 * it for too long: it is to be taken up anew.
 *
 * KEYS  the positions
 * ARGV  field, from, to, stable end, the longest silence in ms
 * Answers where to go on: at `to`, or further where another writer has been, or earlier after a loss; -1 to take up anew.
 */
const advancePosition = `
local known = redis.call('HGET', KEYS[1], ARGV[1])
if not known then return -1 end
local offset, atMs = string.match(known, '^(%d+) %d+ (%d+)$')
offset = tonumber(offset)
local time = redis.call('TIME')
local nowMs = time[1] * 1000 + math.floor(time[2] / 1000)
if nowMs - tonumber(atMs) > tonumber(ARGV[5]) then return -1 end
if offset < tonumber(ARGV[2]) then return offset end
offset = math.max(offset, tonumber(ARGV[3]))
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f %s %.0f', offset, ARGV[4], nowMs))
return offset
`

declare module 'ioredis' {
  interface RedisCommander<Context extends ClientContext = { type: 'default' }> {
    takeEntry(
      key: string,
      generation: number,
      offset: number,
      value: string,
      profileId: string,
      identifiers: string,
      identifierPrefix: string,
      markerSeconds: number,
    ): Result<number, Context>
    takeUpPosition(
      key: string,
      origin: string,
      field: string,
      start: number,
      end: number,
    ): Result<[number, number], Context>
    advancePosition(
      key: string,
      field: string,
      from: number,
      to: number,
      end: number,
      silentMsMax: number,
    ): Result<number, Context>
  }
}

export function defineScripts(redis: Redis): void {
  for (const [name, lua] of Object.entries({ takeEntry, takeUpPosition, advancePosition }))
    redis.defineCommand(name, { numberOfKeys: 1, lua })
}
