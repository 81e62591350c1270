import type { Transaction } from '../platform/database.js';
import type { Parsed } from './parsers/parse-protocol.js';
import type { Block, ContentType, PageSpan } from './parsers/parsed.js';

interface ParseRow {
  content_type: ContentType;
  text: string;
  blocks: Block[];
  pages: PageSpan[];
}

/** What was made of a revision's file when it was read; its title was given to the document then. Null: it was not read. */
export async function readParse(tx: Transaction, revisionId: string): Promise<Parsed | null> {
  const row = await tx.row<ParseRow>(
    `select r.content_type, p.text, p.blocks, p.pages from revision r join parse p on p.revision_id = r.id where r.id = $1`,
    [revisionId],
  );
  if (!row) return null;
  const { content_type: contentType, ...rest } = row;
  return { contentType, parsed: { title: null, ...rest } };
}
