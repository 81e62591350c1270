import { createHash } from 'node:crypto';
import { v7 } from 'uuid';
import { notFound } from '../errors.js';

/** The readable prefix of each kind of id, as callers see it. */
export type IdPrefix =
  | 'ten'
  | 'key'
  | 'kb'
  | 'doc'
  | 'rev'
  | 'chk'
  | 'sync'
  | 'rix'
  | 'evt'
  | 'whe'
  | 'del'
  | 'cms'
  | 'cev'
  | 'conv'
  | 'msg'
  | 'gq';

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** A UUIDv7: time-ordered, so that newest-first lists need no column of their own. */
export const newId = (): string => v7();

/**
 * The id of what follows from an event for one addressee: the same each time it is made, also from a database that was
 * restored to before it was, so that a receiver knows a repetition. Ordered by the event's time, as a UUIDv7 is.
 */
export function derivedId(eventId: string, addresseeId: string): string {
  const random = createHash('sha256').update(`${eventId} ${addresseeId}`).digest().subarray(0, 16);
  const msecs = Number.parseInt(eventId.replaceAll('-', '').slice(0, 12), 16);
  return v7({ msecs, random, seq: random.readUInt32BE(12) });
}

export const showId = (prefix: IdPrefix, id: string): string => `${prefix}_${id}`;

/** The UUID of a shown id; null for anything else. */
export function uuidIn(prefix: IdPrefix, shown: string): string | null {
  const id = shown.startsWith(`${prefix}_`) ? shown.slice(prefix.length + 1) : '';
  return uuid.test(id) ? id : null;
}

/**
 * The UUID of a shown id.
 * @throws ApiError not_found for anything else: a malformed id is answered like an absent one
 */
export function readId(prefix: IdPrefix, shown: string): string {
  const id = uuidIn(prefix, shown);
  if (id === null) throw notFound();
  return id;
}
