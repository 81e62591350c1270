import { Injectable } from '@nestjs/common';
import { type Principal, visibleTo } from '../access/principal.js';
import { ApiError, notFound } from '../errors.js';
import { record } from '../events/outbox.js';
import { Database, type Transaction } from '../platform/database.js';
import { page, type PageQuery, startBelow } from '../platform/http/pages.js';
import { showId } from '../platform/ids.js';
import { openBase } from './knowledge-bases.js';
import { documentsBetween } from './version-changes.js';

export type VersionStatus = 'building' | 'ready' | 'active' | 'blocked' | 'retired';

interface VersionRow {
  number: number;
  parent: number | null;
  status: VersionStatus;
  cause: Record<string, unknown>;
  stats: { documents: number; chunks: number };
  receipt: Record<string, unknown>;
  created_at: Date;
  activated_at: Date | null;
}

const columns = 'number, parent, status, cause, stats, receipt, created_at, activated_at';

function showVersion(row: VersionRow) {
  return {
    number: row.number,
    parent: row.parent,
    status: row.status,
    cause: row.cause,
    stats: row.stats,
    receipt: row.receipt,
    createdAt: row.created_at,
    activatedAt: row.activated_at,
  };
}

interface Comparable {
  number: number;
  index_id: number | null;
}

async function comparable(tx: Transaction, baseId: string, number: number): Promise<Comparable> {
  const row = await tx.row<Comparable & { status: VersionStatus }>(
    'select number, index_id, status from version where knowledge_base_id = $1 and number = $2',
    [baseId, number],
  );
  if (!row) throw notFound();
  if (row.status === 'retired') throw new ApiError('gone', 'This version is no longer kept.');
  return row;
}

/** As SQL: the revision of document `d` that a version shows. */
const shownBy = ({ index_id: index, number }: Comparable): string =>
  `(select c.revision_id from chunk c where c.index_id = ${Number(index ?? 0)} and c.document_id = d.id and c.ordinal = 0 and c.visible @> ${Number(number)})`;

interface DifferenceRow {
  id: string;
  external_id: string | null;
  title: string;
  before: string | null;
  after: string | null;
}

const showDifference = ({ id, external_id, title, before, after }: DifferenceRow) => ({
  id: showId('doc', id),
  externalId: external_id,
  title,
  before: before && showId('rev', before),
  after: after && showId('rev', after),
});

/** The history of a base, and the pointer to what readers see. */
@Injectable()
export class Versions {
  constructor(private readonly database: Database) {}

  async list(principal: Principal, base: string, query: { limit: number; cursor?: string }) {
    const below = query.cursor === undefined ? 2 ** 31 - 1 : Number(query.cursor);
    return this.database.as(principal, async (tx) => {
      const { id } = await openBase(tx, principal, base);
      const rows = await tx.rows<VersionRow>(
        `select ${columns} from version where knowledge_base_id = $1 and number < $2 order by number desc limit $3`,
        [id, Number.isInteger(below) ? below : 0, query.limit + 1],
      );
      const data = rows.slice(0, query.limit).map(showVersion);
      return { data, nextCursor: rows.length > query.limit ? String(data.at(-1)?.number) : null };
    });
  }

  async get(principal: Principal, base: string, number: number) {
    return this.database.as(principal, async (tx) => {
      const { id } = await openBase(tx, principal, base);
      const row = await tx.row<VersionRow>(
        `select ${columns} from version where knowledge_base_id = $1 and number = $2`,
        [id, number],
      );
      if (!row) throw notFound();
      return showVersion(row);
    });
  }

  /**
   * What changed from one version to another, whichever came first: of the documents that this caller may see.
   * @throws ApiError not_found; gone when the rows of one of them were freed
   */
  async compare(principal: Principal, base: string, [from, to]: [from: number, to: number], query: PageQuery) {
    return this.database.as(principal, async (tx) => {
      const { id } = await openBase(tx, principal, base);
      const [one, other] = [await comparable(tx, id, from), await comparable(tx, id, to)];
      const parameters: unknown[] = [await documentsBetween(tx, id, from, to), startBelow(query), query.limit + 1];
      const visible = visibleTo(principal, parameters);
      const rows = await tx.rows<DifferenceRow>(
        `select * from (
           select d.id, d.external_id, d.title, ${shownBy(one)} as before, ${shownBy(other)} as after
           from document d where d.id = any($1::uuid[]) and d.id < $2 and ${visible}) x
         where before is distinct from after order by id desc limit $3`,
        parameters,
      );
      const { data, nextCursor } = page(rows, query, showDifference);
      return {
        from,
        to,
        added: data.filter(({ before }) => before === null),
        changed: data.filter(({ before, after }) => before !== null && after !== null),
        removed: data.filter(({ after }) => after === null),
        nextCursor,
      };
    });
  }

  /**
   * Moves the pointer to a retained version: the text of that day answers from this commit on, under the permissions of
   * today, without the documents deleted since. Takes no time that depends on its size.
   * @throws ApiError not_found; gone when its rows were freed; conflict when it never became ready
   */
  async activate(principal: Principal, base: string, number: number, requestId: string) {
    return this.database.as(principal, async (tx) => {
      const { id } = await openBase(tx, principal, base);
      const pointer = await tx.row<{ active_version: number }>(
        'select active_version from knowledge_base where id = $1 for update',
        [id],
      );
      const target = await tx.row<VersionRow>(
        `select ${columns} from version where knowledge_base_id = $1 and number = $2`,
        [id, number],
      );
      if (!pointer || !target) throw notFound();
      if (target.status === 'active') return showVersion(target);
      if (target.status === 'retired') throw new ApiError('gone', 'This version is no longer kept.');
      if (target.status !== 'ready')
        throw new ApiError('conflict', `This version is ${target.status} and cannot be activated.`);
      await tx.run(`update version set status = 'ready' where knowledge_base_id = $1 and number = $2`, [
        id,
        pointer.active_version,
      ]);
      const active = await tx.row<VersionRow>(
        `update version set status = 'active', activated_at = now() where knowledge_base_id = $1 and number = $2 returning ${columns}`,
        [id, number],
      );
      await tx.run('update knowledge_base set active_version = $2 where id = $1', [id, number]);
      await record(tx, principal, {
        type: number < pointer.active_version ? 'index.version.rolled_back' : 'index.version.activated',
        subjectId: id,
        requestId,
        data: { knowledgeBaseId: showId('kb', id), version: number, previous: pointer.active_version },
      });
      return showVersion(active ?? target);
    });
  }
}
