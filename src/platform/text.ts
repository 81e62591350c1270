/**
 * Text that every store takes: no U+0000 (PostgreSQL refuses it; in a BullMQ payload or error it leaves the job active
 * until it counts as stalled) and no lone surrogate (not encodable as UTF-8).
 */
export function wellFormed(text: string): string {
  return text.replaceAll('\u0000', '').toWellFormed();
}
