/** Reads when a token is to end: `90d`, `12h`, `30m`, an RFC 3339 date and time, or `never`. */

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }

const LIFE = /^([1-9][0-9]{0,8})([smhdw])$/
/** RFC 3339 section 5.6; a space instead of the `T` is not taken. */
const DATE_TIME = /^(\d{4}-\d{2}-\d{2})T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/i

/**
 * @param nowSeconds Unix seconds.
 * @returns Unix seconds rounded down, null for `never`, or `malformed`. Says nothing about whether it has passed.
 */
export function parseExpiry(raw: string, nowSeconds: number): number | null | 'malformed' {
  if (raw === 'never') return null
  const lifeSeconds = parseLifeSeconds(raw)
  return lifeSeconds === null ? (parseDateTime(raw) ?? 'malformed') : Math.floor(nowSeconds) + lifeSeconds
}

/** `90d`, `12h`, `30m`. @returns null for anything else. */
export function parseLifeSeconds(raw: string): number | null {
  const [, count, unit] = LIFE.exec(raw) ?? []
  if (count === undefined || unit === undefined) return null
  return Number(count) * (UNIT_SECONDS[unit] ?? Number.NaN)
}

/** RFC 3339. @returns Unix seconds, a fraction dropped; null for anything else. */
export function parseDateTime(raw: string): number | null {
  const [, date] = DATE_TIME.exec(raw) ?? []
  if (date === undefined || !isCalendarDate(date)) return null
  const milliseconds = Date.parse(raw.toUpperCase())
  return Number.isNaN(milliseconds) ? null : Math.floor(milliseconds / 1000)
}

/** `Date.parse` takes 30 February for 2 March. */
function isCalendarDate(date: string): boolean {
  const milliseconds = Date.parse(`${date}T00:00:00Z`)
  return !Number.isNaN(milliseconds) && new Date(milliseconds).toISOString().startsWith(date)
}
