import { Injectable } from '@nestjs/common';
import { Database, type Transaction } from '../platform/database.js';
import { frequencies, terms, termVector } from './terms.js';
import { withPlainYears } from './years.js';

// Metadata is for machines too: what is longer than a name, and what comes after so many values, says little of a question.
const longestValue = 200;
const mostValues = 50;

/** What a title says, as it is stored beside the document and read live by ranking. */
export const titleTerms = (title: string, language: string | null = null): string =>
  termVector(frequencies(terms(withPlainYears(title), language)));

/** What metadata says: its words and numbers (a company, a year, a product), whatever their fields are called. */
export const metadataTerms = (metadata: Record<string, unknown>, language: string | null = null): string =>
  termVector(frequencies(terms(withPlainYears(values(metadata).slice(0, mostValues).join('\n')), language)));

/** Reads title and metadata anew, as words of the language that the base's index has the document's latest content in. */
export async function readDetails(tx: Transaction, documentId: string): Promise<void> {
  const row = await tx.row<{ title: string; metadata: Record<string, unknown>; language: string | null }>(
    `select title, metadata,
       (select s.language from knowledge_base b join segment_revision s on s.index_id = b.index_id join revision r on r.id = s.revision_id
        where b.id = d.knowledge_base_id and s.document_id = d.id order by r.number desc limit 1) as language
     from document d where d.id = $1 for no key update of d`,
    [documentId],
  );
  if (!row) return;
  const read = [titleTerms(row.title, row.language), metadataTerms(row.metadata, row.language)];
  await tx.run(
    `update document set title_terms = $2, metadata_terms = $3
     where id = $1 and (title_terms, metadata_terms) is distinct from ($2::sparsevec, $3::sparsevec)`,
    [documentId, ...read],
  );
}

function values(value: unknown): string[] {
  if (typeof value === 'number') return [String(value)];
  if (typeof value === 'string') return value.length <= longestValue ? [value] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(values);
}

interface Reread {
  id: string;
  tenantId: string;
  indexId: number;
  before: number | null;
}

/** Documents that were there before metadata was read, or whose words were read by other rules. */
@Injectable()
export class UnreadDocuments {
  constructor(private readonly database: Database) {}

  /** @returns how many were read; fewer than `limit`: these were the last */
  async read(limit: number): Promise<number> {
    const unread = await this.database.onceAsSystem<{ id: string; tenantId: string }>(
      `select id, tenant_id as "tenantId" from document where metadata_terms is null limit ${limit}`,
    );
    for (const { id, tenantId } of unread) {
      await this.database.as({ tenantId }, (tx) => readDetails(tx, id));
    }
    return unread.length;
  }

  /** Where another index answers now, all documents of the base whose words it has in another language. */
  async readMoved(): Promise<void> {
    const moved = await this.database.onceAsSystem<Reread>(
      `select id, tenant_id as "tenantId", index_id as "indexId", titles_index as before from knowledge_base
         where index_id is distinct from titles_index limit 100`,
    );
    for (const base of moved) {
      if (!(await this.sameLanguage(base))) await this.readAll(base);
      await this.database.as(base, (tx) =>
        tx.run('update knowledge_base set titles_index = $2 where id = $1', [base.id, base.indexId]),
      );
    }
  }

  /** Where each document's own text tells, it tells the same. */
  private async sameLanguage({ indexId, before, ...scope }: Reread): Promise<boolean> {
    const row = await this.database.as(scope, (tx) =>
      tx.row<{ languages: number }>(
        `select count(distinct coalesce(pipeline->>'language', ''))::int as languages from knowledge_index where id = any($1)`,
        [[indexId, before]],
      ),
    );
    return before !== null && row?.languages === 1;
  }

  private async readAll({ id, ...scope }: Reread): Promise<void> {
    let last = '00000000-0000-0000-0000-000000000000';
    for (;;) {
      const rows = await this.database.as(scope, (tx) =>
        tx.rows<{ id: string }>(
          'select id from document where knowledge_base_id = $1 and deleted_at is null and id > $2 order by id limit 200',
          [id, last],
        ),
      );
      for (const document of rows) await this.database.as(scope, (tx) => readDetails(tx, document.id));
      last = rows.at(-1)?.id ?? last;
      if (rows.length < 200) return;
    }
  }
}
