import { Injectable } from '@nestjs/common';
import { type Principal, readsAll } from '../access/principal.js';
import { ApiError, invalidField, notFound } from '../errors.js';
import { Database, type Transaction } from '../platform/database.js';
import { type Page, type PageQuery, page, startBelow } from '../platform/http/pages.js';
import { newId, readId, showId } from '../platform/ids.js';
import type { GoldenQuestion } from './gate.js';
import { openBase } from './knowledge-bases.js';

interface GoldenRow extends GoldenQuestion {
  created_at: Date;
}

// Each is asked twice of every new version.
const most = 500;

const columns = 'g.id, g.query, g.expected, g.principal, g.created_at';

const show = ({ id, query, expected, principal, created_at }: GoldenRow) => ({
  id: showId('gq', id),
  query,
  expected,
  principal,
  createdAt: created_at,
});

/** In the caller's transaction: everything that must be found in a base, oldest first. */
export function goldenQuestions(tx: Transaction, baseId: string): Promise<GoldenQuestion[]> {
  return tx.rows<GoldenRow>(`select ${columns} from golden_question g where g.knowledge_base_id = $1 order by g.id`, [
    baseId,
  ]);
}

/** What is found tells of documents that the author may not see. @throws ApiError forbidden */
function mayAsk(principal: Principal): void {
  if (!readsAll(principal))
    throw new ApiError('forbidden', 'Golden questions need the scope documents:read-all beside versions:manage.');
}

/** The questions by which a base's new versions are judged: for callers who may read everything. */
@Injectable()
export class GoldenQuestions {
  constructor(private readonly database: Database) {}

  /**
   * @throws ApiError validation_failed for an expectation that says nothing, or more than one thing; forbidden; conflict
   * when there are as many as there may be
   */
  async add(
    principal: Principal,
    base: string,
    wish: Omit<GoldenQuestion, 'id' | 'principal'> & Partial<GoldenQuestion>,
  ) {
    mayAsk(principal);
    for (const [at, expected] of wish.expected.entries()) {
      if (Object.values(expected).filter((value) => value !== undefined).length !== 1)
        throw invalidField(`expected.${at}`, 'needs one of documentId, externalId and passage');
    }
    const id = newId();
    return this.database.as(principal, async (tx) => {
      const { id: baseId } = await openBase(tx, principal, base);
      const added = await tx.run(
        `insert into golden_question (id, tenant_id, knowledge_base_id, query, expected, principal) select $1, $2, $3, $4, $5, $6
         where (select count(*) from golden_question where knowledge_base_id = $3) < ${most}`,
        [
          id,
          principal.tenantId,
          baseId,
          wish.query,
          JSON.stringify(wish.expected),
          wish.principal ? JSON.stringify(wish.principal) : null,
        ],
      );
      if (added === 0)
        throw new ApiError('conflict', `A knowledge base has at most ${most} golden questions: take one away first.`);
      return show(await read(tx, baseId, id));
    });
  }

  /** @throws ApiError forbidden, not_found */
  async get(principal: Principal, base: string, id: string) {
    mayAsk(principal);
    return this.database.as(principal, async (tx) => {
      const { id: baseId } = await openBase(tx, principal, base);
      return show(await read(tx, baseId, readId('gq', id)));
    });
  }

  /** @throws ApiError forbidden, not_found */
  async list(principal: Principal, base: string, query: PageQuery): Promise<Page<ReturnType<typeof show>>> {
    mayAsk(principal);
    const rows = await this.database.as(principal, async (tx) => {
      const { id: baseId } = await openBase(tx, principal, base);
      return tx.rows<GoldenRow>(
        `select ${columns} from golden_question g where g.knowledge_base_id = $1 and g.id < $2 order by g.id desc limit $3`,
        [baseId, startBelow(query), query.limit + 1],
      );
    });
    return page(rows, query, show);
  }

  async remove(principal: Principal, base: string, id: string): Promise<void> {
    await this.database.as(principal, async (tx) => {
      const { id: baseId } = await openBase(tx, principal, base);
      const gone = await tx.run('delete from golden_question where knowledge_base_id = $1 and id = $2', [
        baseId,
        readId('gq', id),
      ]);
      if (gone === 0) throw notFound();
    });
  }
}

async function read(tx: Transaction, baseId: string, id: string): Promise<GoldenRow> {
  const row = await tx.row<GoldenRow>(
    `select ${columns} from golden_question g where g.knowledge_base_id = $1 and g.id = $2`,
    [baseId, id],
  );
  if (!row) throw notFound();
  return row;
}
