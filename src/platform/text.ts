/**
 * Text that every store takes: no U+0000 (PostgreSQL refuses it; in a BullMQ payload or error it leaves the job active
 * until it counts as stalled) and no lone surrogate (not encodable as UTF-8).
 */
export function wellFormed(text: string): string {
  return text.replaceAll('\u0000', '').toWellFormed();
}

/** The same for text that comes in pieces: half of a character waits for the piece that brings its other half. */
export class WellFormedStream {
  private half = '';

  push(text: string): string {
    const all = this.half + text;
    const end = /[\ud800-\udbff]$/.test(all) ? all.length - 1 : all.length;
    this.half = all.slice(end);
    return wellFormed(all.slice(0, end));
  }
}
