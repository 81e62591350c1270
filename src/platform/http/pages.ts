import { invalidField } from '../../errors.js';
import { IntegerField, TextField } from './fields.js';

/** `limit` and `cursor` of every list. */
export class PageQuery {
  @IntegerField({ optional: true, min: 1, max: 200, default: 50, description: 'How many to return.' })
  limit = 50;

  @TextField({ optional: true, max: 200, description: 'The nextCursor of the page before.' })
  cursor?: string;
}

export interface Page<T> {
  data: T[];
  nextCursor: string | null;
}

// The highest id there can be: a list that starts anywhere starts below it.
const fromTheTop = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** The id that the page starts below. Lists are newest first, and ids are UUIDv7. */
export function startBelow(query: PageQuery): string {
  if (query.cursor === undefined) return fromTheTop;
  const id = Buffer.from(query.cursor, 'base64url').toString('latin1');
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id))
    throw invalidField('cursor', 'is not a cursor of this list');
  return id;
}

/** Makes a page of `rows`, of which one more than `limit` was asked for to see whether there is a next page. */
export function page<R extends { id: string }, T>(rows: R[], query: PageQuery, show: (row: R) => T): Page<T> {
  const shown = rows.slice(0, query.limit);
  const last = rows.length > query.limit ? shown.at(-1) : undefined;
  return { data: shown.map(show), nextCursor: last ? Buffer.from(last.id, 'latin1').toString('base64url') : null };
}
