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

/** Reads title and metadata anew, as words of the language that the document's latest content is in. */
export async function readDetails(tx: Transaction, documentId: string): Promise<void> {
  const row = await tx.row<{ title: string; metadata: Record<string, unknown>; language: string | null }>(
    `select title, metadata,
       (select language from revision where document_id = $1 and content_type is not null order by number desc limit 1) as language
     from document where id = $1 for no key update`,
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

/** Documents that were there before metadata was read, or whose words were read by other rules. */
@Injectable()
export class UnreadDocuments {
  constructor(private readonly database: Database) {}

  /** @returns how many were read; fewer than `limit`: these were the last */
  async read(limit: number): Promise<number> {
    const unread = await this.database.asSystem((tx) =>
      tx.rows<{ id: string; tenantId: string }>(
        'select id, tenant_id as "tenantId" from document where metadata_terms is null limit $1',
        [limit],
      ),
    );
    for (const { id, tenantId } of unread) {
      await this.database.as({ tenantId }, (tx) => readDetails(tx, id));
    }
    return unread.length;
  }
}
