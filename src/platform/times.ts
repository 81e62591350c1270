/**
 * A moment as PostgreSQL and JavaScript both read it, from what people and systems send: ISO 8601, of which a time without
 * an offset is taken for UTC.
 * @returns e.g. `2026-03-01T10:30:00.000Z`; null for what is no moment, such as a week, and outside the years 1 to 9999
 */
export function asUtc(text: unknown): string | null {
  if (typeof text !== 'string') return null;
  const zoned = /T.*(Z|[+-]\d{2}:?\d{2}|[+-]\d{2})$/i.test(text) || !text.includes('T') ? text : `${text}Z`;
  const time = new Date(zoned);
  const iso = Number.isNaN(time.getTime()) ? '' : time.toISOString();
  return /^\d{4}-/.test(iso) && !iso.startsWith('0000') ? iso : null;
}
