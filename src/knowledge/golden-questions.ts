import { Injectable } from '@nestjs/common';
import type { Principal } from '../access/principal.js';
import { invalidField, notFound } from '../errors.js';
import { Database, type Transaction } from '../platform/database.js';
import { type Page, type PageQuery, page, startBelow } from '../platform/http/pages.js';
import { newId, readId, showId } from '../platform/ids.js';
import type { GoldenQuestion } from './gate.js';
import { openBase } from './knowledge-bases.js';

interface GoldenRow extends GoldenQuestion {
  created_at: Date;
}

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

/** The questions by which a base's new versions are judged. */
@Injectable()
export class GoldenQuestions {
  constructor(private readonly database: Database) {}

  /** @throws ApiError validation_failed for an expectation that says nothing, or more than one thing */
  async add(
    principal: Principal,
    base: string,
    wish: Omit<GoldenQuestion, 'id' | 'principal'> & Partial<GoldenQuestion>,
  ) {
    for (const [at, expected] of wish.expected.entries()) {
      if (Object.values(expected).filter((value) => value !== undefined).length !== 1)
        throw invalidField(`expected.${at}`, 'needs one of documentId, externalId and passage');
    }
    const id = newId();
    return this.database.as(principal, async (tx) => {
      const { id: baseId } = await openBase(tx, principal, base);
      await tx.run(
        `insert into golden_question (id, tenant_id, knowledge_base_id, query, expected, principal) values ($1, $2, $3, $4, $5, $6)`,
        [
          id,
          principal.tenantId,
          baseId,
          wish.query,
          JSON.stringify(wish.expected),
          wish.principal ? JSON.stringify(wish.principal) : null,
        ],
      );
      return show(await read(tx, baseId, id));
    });
  }

  async get(principal: Principal, base: string, id: string) {
    return this.database.as(principal, async (tx) => {
      const { id: baseId } = await openBase(tx, principal, base);
      return show(await read(tx, baseId, readId('gq', id)));
    });
  }

  async list(principal: Principal, base: string, query: PageQuery): Promise<Page<ReturnType<typeof show>>> {
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
