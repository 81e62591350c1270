import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import pgvector from 'pgvector';
import { v5 } from 'uuid';
import { boundary } from '../platform/boundary.js';
import { Database, type TenantScope, type Transaction } from '../platform/database.js';
import { fits, type Reading } from '../platform/models/tokens.js';
import { mapInSlices } from '../platform/slices.js';
import { terms } from './terms.js';
import { packVectors } from './vector-format.js';

/**
 * A passage as it was cut: `text` stands at [start, end) of the revision's stored text. One that goes on with a table has
 * the table's caption and header as its `lead`.
 */
export interface Passage {
  ordinal: number;
  section: string[];
  page: number | null;
  start: number;
  end: number;
  lead: string | null;
  text: string;
}

/** What a passage is read by from a chunk `c`. */
export const passageColumns =
  'c.ordinal, c.section, c.page, c.start_offset as start, c.end_offset as "end", c.lead, c.text';

const contextOf = ({ section, lead }: Passage): string[] => [...section, ...(lead?.split('\n') ?? [])];

/**
 * What is embedded and searched for a passage: its headings give words like "it" their subject, its lead gives figures
 * their columns. Neither is ever quoted.
 */
export const inContext = (passage: Passage): string => [...contextOf(passage), passage.text].join('\n');

/** The same, as far as the model takes it: first what stands farthest from the text is left out. */
export function embeddedText(passage: Passage, reading: Reading): string {
  const lines = [...contextOf(passage), passage.text];
  while (lines.length > 1 && !fits(reading, lines.join('\n'))) lines.shift();
  return lines.join('\n');
}

/** Two passages with the same hash have the same vector: it is copied, not bought again. */
export const contextHash = (passage: Passage): Buffer => createHash('sha256').update(inContext(passage)).digest();

/** The id follows from what the chunk is, so that doing it again after a crash writes the same row. */
export const chunkId = (revisionId: string, ordinal: number): string => v5(`${ordinal}`, revisionId);

/** A vector that need not be bought, packed. `own`: an attempt at this very revision, since killed, paid for it. */
export interface KnownVector {
  packed: Buffer;
  own: boolean;
}

/** A revision that somebody stores chunks of. */
export interface RevisionInWork extends TenantScope {
  id: string;
  documentId: string;
  knowledgeBaseId: string;
  /** The versions that show the chunks from the start, as a multirange: none, or all but the empty one where none shows their index yet. */
  visible: '{}' | '{[1,)}';
  /** In a transaction that writes for it: proves that this may still be, and may say how far it is. @throws Error */
  hold(tx: Transaction, progress?: { done: number; total: number }): Promise<void>;
}

/** Chunks while no version shows them yet. */
@Injectable()
export class Chunks {
  private typeOfVector: number | null = null;

  constructor(private readonly database: Database) {}

  /**
   * @param indexIds first the one that is written to, then others with vectors of the same model
   * @returns by hash in hex, the vectors that these indexes already have for these passages
   */
  async knownVectors(
    revision: RevisionInWork,
    indexIds: readonly number[],
    passages: Passage[],
  ): Promise<Map<string, KnownVector>> {
    const known = new Map<string, KnownVector>();
    if (passages.length === 0) return known;
    for (const [place, indexId] of indexIds.entries()) {
      const rows = await this.database.once<{ hash: string } & KnownVector>(
        revision,
        `select distinct on (c.text_hash) encode(c.text_hash, 'hex') as hash, vector_send(v.embedding) as packed,
           $4 and c.revision_id = $3 as own
         from chunk c join chunk_vector v on v.index_id = c.index_id and v.chunk_id = c.id
         where c.index_id = $1 and c.text_hash = any($2::bytea[]) order by c.text_hash, own`,
        [indexId, passages.map((passage) => `\\x${contextHash(passage).toString('hex')}`), revision.id, place === 0],
      );
      for (const { hash, ...vector } of rows) if (known.get(hash)?.own !== false) known.set(hash, vector);
    }
    return known;
  }

  /**
   * Stores passages with their vectors (packed, in order), over those of an attempt that was killed, and says how far the
   * revision is.
   * @throws Error when it may no longer be worked on
   */
  async stage(
    revision: RevisionInWork,
    indexId: number,
    passages: Passage[],
    vectors: Buffer[],
    progress: { done: number; total: number },
  ): Promise<void> {
    const rows = await mapInSlices(passages, (passage) => toRow(revision, passage));
    await this.database.as(revision, async (tx) => {
      await revision.hold(tx, progress);
      await tx.run(
        `insert into chunk (index_id, id, tenant_id, document_id, revision_id, ordinal, section, page, start_offset, end_offset, lead, text, text_hash, tokens, visible)
         select $1, r.id, $2, $3, $4, r.ordinal, array(select jsonb_array_elements_text(r.section)), r.page, r.start, r."end", r.lead, r.text,
                decode(r.hash, 'hex'), r.tokens, $6::int4multirange
         from jsonb_to_recordset($5::jsonb) as r(id uuid, ordinal int, section jsonb, page int, start int, "end" int, lead text, text text, hash text, tokens int)
         on conflict (index_id, id) do update set section = excluded.section, page = excluded.page, start_offset = excluded.start_offset,
           end_offset = excluded.end_offset, lead = excluded.lead, text = excluded.text, text_hash = excluded.text_hash, tokens = excluded.tokens
           where isempty(chunk.visible) or chunk.visible = excluded.visible`,
        [indexId, revision.tenantId, revision.documentId, revision.id, JSON.stringify(rows), revision.visible],
      );
      await boundary('chunks.half-stored', revision.documentId);
      await tx.run(
        `insert into chunk_vector (index_id, chunk_id, tenant_id, revision_id, embedding)
         select $1, id, $2, $5, embedding from unnest($3::uuid[], $4::vector[]) as r(id, embedding)
         on conflict (index_id, chunk_id) do update set embedding = excluded.embedding`,
        [
          indexId,
          revision.tenantId,
          rows.map(({ id }) => id),
          packVectors(vectors, await this.vectorType(tx)),
          revision.id,
        ],
      );
    });
  }

  private async vectorType(tx: Transaction): Promise<number> {
    this.typeOfVector ??= (await tx.row<{ oid: number }>(`select 'vector'::regtype::oid as oid`))?.oid ?? null;
    if (this.typeOfVector === null) throw new Error('the database knows no vectors');
    return this.typeOfVector;
  }
}

/** Throws away what an earlier attempt at this revision, which cut it otherwise, left behind the last passage. */
export async function trim(
  tx: Transaction,
  revision: RevisionInWork,
  indexId: number,
  passages: number,
): Promise<void> {
  const left = 'c.revision_id = $2 and c.ordinal >= $3 and (isempty(c.visible) or c.visible = $4::int4multirange)';
  const parameters = [indexId, revision.id, passages, revision.visible];
  await tx.run(
    `delete from chunk_vector v using chunk c where v.index_id = $1 and c.index_id = $1 and c.id = v.chunk_id and ${left}`,
    parameters,
  );
  await tx.run(`delete from chunk c where c.index_id = $1 and ${left}`, parameters);
}

/** How many chunks that answer for this document now have no counterpart among the new passages. */
export async function countGone(
  tx: Transaction,
  revision: RevisionInWork,
  indexId: number,
  passages: Passage[],
): Promise<number> {
  const row = await tx.row<{ count: string }>(
    `select count(*) from chunk c join knowledge_base b on b.id = $2
     where c.index_id = $1 and c.document_id = $3 and c.visible @> b.active_version and c.text_hash <> all($4::bytea[])`,
    [indexId, revision.knowledgeBaseId, revision.documentId, passages.map(contextHash)],
  );
  return Number(row?.count ?? 0);
}

export const vectorLiteral = (vector: number[]): string => pgvector.toSql(vector) as string;

function toRow(revision: RevisionInWork, passage: Passage) {
  return {
    ...passage,
    id: chunkId(revision.id, passage.ordinal),
    hash: contextHash(passage).toString('hex'),
    tokens: terms(inContext(passage)).length,
  };
}
