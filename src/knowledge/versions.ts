import { Injectable } from '@nestjs/common';
import { type Principal, visibleTo } from '../access/principal.js';
import { ApiError, notFound } from '../errors.js';
import { record } from '../events/outbox.js';
import { Database, type TenantScope, type Transaction } from '../platform/database.js';
import { page, type PageQuery, startBelow } from '../platform/http/pages.js';
import { readId, showId } from '../platform/ids.js';
import type { GateReport } from './gate.js';
import { openBase } from './knowledge-bases.js';
import { activateVersion, type Cause, lockBase, type LockedBase, makeVersion, moveTo } from './next-version.js';
import { blockReindex, takeUpReindex } from './reindexes.js';
import { blockSync } from './syncs.js';
import { changesOf, documentsBetween, type VersionChange } from './version-changes.js';

export type VersionStatus = 'building' | 'ready' | 'active' | 'blocked' | 'retired';

interface VersionRow {
  number: number;
  parent: number | null;
  status: VersionStatus;
  cause: Record<string, unknown>;
  stats: { documents: number; chunks: number };
  receipt: Record<string, unknown>;
  report: GateReport | null;
  created_at: Date;
  activated_at: Date | null;
}

const columns = 'number, parent, status, cause, stats, receipt, report, created_at, activated_at';

function showVersion(row: VersionRow) {
  return {
    number: row.number,
    parent: row.parent,
    status: row.status,
    cause: row.cause,
    stats: row.stats,
    receipt: row.receipt,
    report: row.report,
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
      const row = await read(tx, id, number);
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
   * @param force for one that the gate has blocked: its changes are made, on what is active now
   * @throws ApiError not_found; gone when its rows were freed; conflict when it was not activated yet, or is blocked
   */
  async activate(principal: Principal, base: string, number: number, { force, requestId }: ActivateWish) {
    return this.database.as(principal, async (tx) => {
      const { id } = await openBase(tx, principal, base);
      const locked = await lockBase(tx, id);
      const target = await read(tx, id, number);
      if (!locked || !target) throw notFound();
      if (target.status === 'active') return showVersion(target);
      if (target.status === 'retired') throw new ApiError('gone', 'This version is no longer kept.');
      if (target.status === 'building')
        throw new ApiError('conflict', 'This version is being judged: see what comes of it.');
      if (target.status === 'blocked' && !force)
        throw new ApiError('conflict', 'The gate has blocked this version: see its report, or send {"force": true}.');
      const active =
        target.status === 'blocked'
          ? await activateBlocked(tx, principal, locked, target)
          : await moveTo(tx, principal, locked, number, { requestId });
      return showVersion((await read(tx, id, active)) ?? target);
    });
  }
}

interface ActivateWish {
  force: boolean;
  requestId: string;
}

function read(tx: Transaction, baseId: string, number: number): Promise<VersionRow | null> {
  return tx.row<VersionRow>(`select ${columns} from version where knowledge_base_id = $1 and number = $2`, [
    baseId,
    number,
  ]);
}

/**
 * As it was built, if nothing came between. Otherwise what is left of its changes becomes a version of its own, on top of
 * what answers now: to force one must not take back what was published since.
 * @returns the number of the version that answers now
 */
async function activateBlocked(
  tx: Transaction,
  scope: TenantScope,
  base: LockedBase,
  { number, parent, cause }: VersionRow,
): Promise<number> {
  if (base.waiting) throw new ApiError('conflict', 'Another version is being judged: see first what comes of it.');
  if (cause['reindexId'] !== undefined && parent !== base.active_version)
    throw new ApiError('conflict', 'Another version answers now than when this one was built: reindex anew.');
  const changes = await changesOf(tx, base.id, number);
  const standing = await stillStaged(tx, changes);
  if (parent === base.active_version && standing.length === changes.length) {
    await activateVersion(tx, scope, base, number);
    return number;
  }
  const wishes = standing.map(({ documentId, after }) => ({ document_id: documentId, revision_id: after }));
  const made = await makeVersion(tx, scope, { ...base, gated: false }, wishes, { ...cause, forced: number });
  if (!made) throw new ApiError('conflict', 'Nothing is left of what this version changed: newer changes replaced it.');
  return made.number;
}

/** In the caller's transaction: the gate keeps a candidate back. What it would have changed waits for a person. */
export async function blockVersion(
  tx: Transaction,
  scope: TenantScope,
  baseId: string,
  number: number,
  { before, after, worse, reason }: GateReport,
): Promise<void> {
  const { syncId, reindexId } = await setCandidate(tx, baseId, number, 'blocked');
  if (reindexId !== undefined) await blockReindex(tx, scope, readId('rix', reindexId));
  if (syncId !== undefined) await blockSync(tx, scope, readId('sync', syncId), number);
  await record(tx, scope, {
    type: 'index.version.blocked',
    subjectId: baseId,
    data: { knowledgeBaseId: showId('kb', baseId), version: number, reason, before, after, worse: worse.length },
  });
}

/** In the caller's transaction: a candidate is given up, and what it would have changed waits for the next one. */
export async function withdrawVersion(
  tx: Transaction,
  { tenantId }: TenantScope,
  baseId: string,
  number: number,
): Promise<void> {
  const { syncId, reindexId } = await setCandidate(tx, baseId, number, 'retired');
  if (reindexId !== undefined) await takeUpReindex(tx, readId('rix', reindexId));
  if (syncId !== undefined) return; // it is still committing, and makes another one
  const changes = await stillStaged(tx, await changesOf(tx, baseId, number));
  await tx.run(
    `insert into pending_change (tenant_id, knowledge_base_id, document_id, kind, revision_id)
     select $1, $2, w.document_id, case when w.revision_id is null then 'unpublish' else 'publish' end, w.revision_id
     from unnest($3::uuid[], $4::uuid[]) w(document_id, revision_id)
     on conflict (knowledge_base_id, document_id) do nothing`,
    [tenantId, baseId, changes.map(({ documentId }) => documentId), changes.map(({ after }) => after)],
  );
}

/** @returns what would have ended with it */
async function setCandidate(
  tx: Transaction,
  baseId: string,
  number: number,
  status: VersionStatus,
): Promise<Pick<Cause, 'syncId' | 'reindexId'>> {
  const row = await tx.row<{ cause: Cause }>(
    'update version set status = $3 where knowledge_base_id = $1 and number = $2 returning cause',
    [baseId, number, status],
  );
  return row?.cause ?? {};
}

/** Those of the changes whose revision still waits to be shown, or whose document is still there to be left out. */
async function stillStaged(tx: Transaction, changes: readonly VersionChange[]): Promise<VersionChange[]> {
  const rows = await tx.rows<{ id: string }>(
    `select r.id from revision r join document d on d.id = r.document_id
     where r.id = any($1::uuid[]) and r.status = 'staged' and d.deleted_at is null`,
    [changes.flatMap(({ after }) => after ?? [])],
  );
  const staged = new Set(rows.map(({ id }) => id));
  return changes.filter(({ after }) => after === null || staged.has(after));
}
