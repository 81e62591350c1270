import { Injectable } from '@nestjs/common';
import { type Principal, readsAll, visibleTo } from '../access/principal.js';
import { ApiError, notFound } from '../errors.js';
import { Database, type Transaction } from '../platform/database.js';
import { page, type PageQuery, startBelow } from '../platform/http/pages.js';
import { showId } from '../platform/ids.js';
import { activateBlocked } from './candidates.js';
import type { GateReport } from './gate.js';
import { openBase } from './knowledge-bases.js';
import { type Cause, lockBase, moveTo } from './next-version.js';
import { documentsBetween } from './version-changes.js';

export type VersionStatus = 'building' | 'ready' | 'active' | 'blocked' | 'retired';

interface VersionRow {
  number: number;
  parent: number | null;
  status: VersionStatus;
  cause: Cause;
  stats: { documents: number; chunks: number };
  receipt: Record<string, unknown>;
  report: GateReport | null;
  created_at: Date;
  activated_at: Date | null;
}

const columns = 'number, parent, status, cause, stats, receipt, report, created_at, activated_at';

/** @param withQuestions whether the report names those that got worse, and the documents they are about */
function showVersion(row: VersionRow, withQuestions: boolean) {
  return {
    number: row.number,
    parent: row.parent,
    status: row.status,
    cause: row.cause,
    stats: row.stats,
    receipt: row.receipt,
    report: row.report && { ...row.report, ...(withQuestions ? {} : { worse: undefined }) },
    createdAt: row.created_at,
    activatedAt: row.activated_at,
  };
}

/** Golden questions are about documents that not everybody may see who may look at versions. */
const mayReadQuestions = (principal: Principal): boolean =>
  principal.scopes.has('versions:manage') && readsAll(principal);

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

  /** Without the questions that got worse in each: there may be many versions, and many questions. */
  async list(principal: Principal, base: string, query: { limit: number; cursor?: string }) {
    const below = query.cursor === undefined ? 2 ** 31 - 1 : Number(query.cursor);
    return this.database.as(principal, async (tx) => {
      const { id } = await openBase(tx, principal, base);
      const rows = await tx.rows<VersionRow>(
        `select ${columns} from version where knowledge_base_id = $1 and number < $2 order by number desc limit $3`,
        [id, Number.isInteger(below) ? below : 0, query.limit + 1],
      );
      const data = rows.slice(0, query.limit).map((row) => showVersion(row, false));
      return { data, nextCursor: rows.length > query.limit ? String(data.at(-1)?.number) : null };
    });
  }

  async get(principal: Principal, base: string, number: number) {
    return this.database.as(principal, async (tx) => {
      const { id } = await openBase(tx, principal, base);
      const row = await read(tx, id, number);
      if (!row) throw notFound();
      return showVersion(row, mayReadQuestions(principal));
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
   * @param force for one that the gate has blocked: see {@link activateBlocked}
   * @throws ApiError not_found; gone when its rows were freed; conflict when it was not activated yet, or is blocked
   */
  async activate(principal: Principal, base: string, number: number, { force, requestId }: ActivateWish) {
    const show = (row: VersionRow) => showVersion(row, mayReadQuestions(principal));
    return this.database.as(principal, async (tx) => {
      const { id } = await openBase(tx, principal, base);
      const locked = await lockBase(tx, id);
      const target = await read(tx, id, number);
      if (!locked || !target) throw notFound();
      if (target.status === 'active') return show(target);
      if (target.status === 'retired') throw new ApiError('gone', 'This version is no longer kept.');
      if (target.status === 'building')
        throw new ApiError('conflict', 'This version is being judged: see what comes of it.');
      if (target.status === 'blocked' && !force)
        throw new ApiError('conflict', 'The gate has blocked this version: see its report, or send {"force": true}.');
      const active =
        target.status === 'blocked'
          ? await activateBlocked(tx, principal, locked, target)
          : await moveTo(tx, principal, locked, number, { requestId });
      return show((await read(tx, id, active)) ?? target);
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
