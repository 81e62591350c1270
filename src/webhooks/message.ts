import type { EventType } from '../events/catalogue.js';
import { showId } from '../platform/ids.js';

/** An event as deliveries need it: of the relay, or read back from the outbox. */
export interface Message {
  id: string;
  type: EventType;
  sequence: number | null;
  data: Record<string, unknown>;
  createdAt: Date;
}

const maxBytes = 20_000;
const longestKept = 200;

/**
 * The body that a receiver gets, fixed once: a signature covers its bytes, and a repetition must be the same.
 * Events are thin by rule; should one not be, what is long in it stays away and `data.truncated` says so.
 * @returns JSON of at most 20 kB
 */
export function messageBody(event: Message): string {
  const whole = write(event, event.data);
  if (Buffer.byteLength(whole) <= maxBytes) return whole;
  const short = Object.entries(event.data).filter(([, value]) => (JSON.stringify(value) ?? '').length <= longestKept);
  const kept = write(event, { ...Object.fromEntries(short.slice(0, 30)), truncated: true });
  return Buffer.byteLength(kept) <= maxBytes ? kept : write(event, { truncated: true });
}

function write(event: Message, data: Record<string, unknown>): string {
  return JSON.stringify({
    id: showId('evt', event.id),
    type: event.type,
    version: 1,
    timestamp: event.createdAt.toISOString(),
    data: { ...data, ...(event.sequence === null ? {} : { sequence: event.sequence }) },
  });
}
