/** Timestamps as events spell them: always an instant in UTC with millisecond precision, years 0 to 9999. */

/** 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z: what four digits of year can say. */
export const timestampMsMin = -62_167_219_200_000
export const timestampMsMax = 253_402_300_799_999

export const isTimestampMs = (ms: number): boolean =>
  Number.isInteger(ms) && ms >= timestampMsMin && ms <= timestampMsMax

/** Milliseconds since the epoch, as the tracker protocol writes them; undefined when it is no such text. */
export function epochMs(text: string): number | undefined {
  if (!epoch.test(text)) return undefined
  const ms = Number(text)
  return isTimestampMs(ms) ? ms : undefined
}

/**
 * `2024-02-29T10:11:12.123Z`, with an offset (`+01:00`) or none (then UTC), with a space for the T, or milliseconds
 * since the epoch; digits after the third of a fraction are dropped. Undefined when it is no such text, no day of the
 * calendar, or outside of years 0 to 9999.
 */
export function timestampMs(text: string): number | undefined {
  const parts = iso.exec(text)
  if (!parts) return epochMs(text)
  const [, year, month, day, hour, minute, second, fraction = '', sign, offsetHour = '00', offsetMinute = '00'] = parts
  if (Number(day) > daysIn(Number(year), Number(month))) return undefined
  if (Number(offsetHour) > 23 || Number(offsetMinute) > 59) return undefined
  const local = Date.parse(
    `${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction.slice(0, 3).padEnd(3, '0')}Z`,
  )
  const offsetMs = (Number(offsetHour) * 60 + Number(offsetMinute)) * 60_000
  const ms = sign === '-' ? local + offsetMs : local - offsetMs
  return isTimestampMs(ms) ? ms : undefined
}

/** `YYYY-MM-DD HH:MM:SS.mmm`, the spelling of Snowplow's own tables. */
export const timestampText = (ms: number): string => new Date(ms).toISOString().replace('T', ' ').slice(0, -1)

const epoch = /^-?\d{1,15}$/
const iso =
  /^(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[T ]([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):?(\d\d))?$/

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}
