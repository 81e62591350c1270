import { Injectable } from '@nestjs/common';
import { Database, type TenantScope, type Transaction } from '../platform/database.js';
import { mapInSlices } from '../platform/slices.js';
import { detectLanguage } from './detect-language.js';
import { inContext, type Passage, passageColumns, type RevisionInWork } from './chunks.js';
import { type PackedSegment, packSegment } from './posting-format.js';
import { terms } from './terms.js';

/** A revision whose chunks stand in a segment. */
export interface IndexedRevision {
  id: string;
  documentId: string;
  chunks: number;
  /** What they were read in, as an ISO 639-1 code; null: not told. */
  language: string | null;
}

/** The lexical index as it is written: one segment a revision, merged with others later. */
@Injectable()
export class Postings {
  constructor(private readonly database: Database) {}

  /**
   * Makes a revision's passages searchable by their words, as soon as a version shows them: what is done last, so that the
   * revision is then whole in this index.
   * @param language what they are in; null: unknown
   * @param along what else becomes true in that moment
   * @throws Error when it may no longer be worked on
   */
  async write(
    revision: RevisionInWork,
    indexId: number,
    passages: Passage[],
    language: string | null,
    along: (tx: Transaction) => Promise<unknown> = () => Promise.resolve(),
  ): Promise<void> {
    const segment = packSegment(await readTerms(passages, language));
    const { id, documentId } = revision;
    await this.database.as(revision, async (tx) => {
      await revision.hold(tx);
      await tx.run('delete from segment_revision where index_id = $1 and revision_id = $2', [indexId, id]);
      await insertSegment(tx, revision, indexId, segment, [{ id, documentId, chunks: passages.length, language }]);
      await addLanguage(tx, indexId, language);
      await along(tx);
    });
  }

  /** Revisions whose chunks have no postings: those stored before there were any. What is being built is not whole yet. */
  async missing(limit: number): Promise<{ indexId: number; tenantId: string; revisionId: string }[]> {
    const rows = await this.database.onceAsSystem<{ index_id: number; tenant_id: string; revision_id: string }>(
      `select c.index_id, c.tenant_id, c.revision_id from chunk c join revision r on r.id = c.revision_id
           join knowledge_index i on i.id = c.index_id and not i.building
         where c.ordinal = 0 and r.status in ('staged', 'ready', 'superseded')
           and not exists (select from segment_revision s where s.index_id = c.index_id and s.revision_id = c.revision_id)
         limit ${limit}`,
    );
    return rows.map((row) => ({ indexId: row.index_id, tenantId: row.tenant_id, revisionId: row.revision_id }));
  }

  /** Makes the postings of chunks that are stored already, from their text; not while their index is being built. */
  async rebuild(scope: TenantScope, indexId: number, revisionId: string): Promise<void> {
    const stored = await this.database.as(scope, (tx) =>
      tx.rows<Passage & { document_id: string }>(
        `select c.document_id, ${passageColumns} from chunk c where c.index_id = $1 and c.revision_id = $2 order by c.ordinal`,
        [indexId, revisionId],
      ),
    );
    const [first] = stored;
    if (first === undefined) return;
    const { document_id: documentId } = first;
    const language = await this.languageIn(scope, indexId, revisionId);
    const segment = packSegment(await readTerms(stored, language));
    await this.database.as(scope, async (tx) => {
      // The document's row is held so that it cannot be purged meanwhile, nor the same be done twice at once.
      const there = await tx.row(
        `select 1 from document where id = $1 and deleted_at is null
         and exists (select from knowledge_index where id = $2 and not building)
         and not exists (select from segment_revision where index_id = $2 and revision_id = $3) for update`,
        [documentId, indexId, revisionId],
      );
      if (there) {
        const whole = { id: revisionId, documentId, chunks: stored.length, language };
        await insertSegment(tx, scope, indexId, segment, [whole]);
        await addLanguage(tx, indexId, language);
      }
    });
  }

  /** As when it was stored there: what the index was built with, or what the text tells. Another index may say otherwise. */
  private async languageIn(scope: TenantScope, indexId: number, revisionId: string): Promise<string | null> {
    const row = await this.database.as(scope, (tx) =>
      tx.row<{ chosen: string | null; text: string | null }>(
        `select i.pipeline->>'language' as chosen,
           (select p.text from parse p where p.revision_id = $2 and i.pipeline->>'language' is null) as text
         from knowledge_index i where i.id = $1`,
        [indexId, revisionId],
      ),
    );
    return row?.chosen ?? (await detectLanguage(row?.text ?? ''));
  }
}

/** @param revisions those whose chunks the segment holds, in the order of their numbers */
export async function insertSegment(
  tx: Transaction,
  { tenantId }: TenantScope,
  indexId: number,
  segment: PackedSegment,
  revisions: IndexedRevision[],
): Promise<void> {
  const made = await tx.row<{ no: number }>(
    'insert into segment (index_id, tenant_id, chunks, buckets, lengths) values ($1, $2, $3, $4, $5) returning no',
    [indexId, tenantId, segment.chunks, segment.buckets, segment.lengths],
  );
  if (!made) throw new Error('the segment was not made');
  // A merge moves a revision from one segment to another; its row follows.
  await tx.run(
    `insert into segment_revision (index_id, revision_id, tenant_id, document_id, segment_no, base, chunks, language)
     select $1, id, $2, document_id, $3, (sum(chunks) over (order by ordinality) - chunks)::int, chunks, language
     from unnest($4::uuid[], $5::uuid[], $6::int[], $7::text[]) with ordinality r(id, document_id, chunks, language, ordinality)
     on conflict (index_id, revision_id) do update set segment_no = excluded.segment_no, base = excluded.base`,
    [
      indexId,
      tenantId,
      made.no,
      revisions.map(({ id }) => id),
      revisions.map(({ documentId }) => documentId),
      revisions.map(({ chunks }) => chunks),
      revisions.map(({ language }) => language),
    ],
  );
  // One statement: a round trip for each bucket would hold the embedded engine, for which requests wait.
  await tx.run(
    `insert into posting (index_id, segment_no, bucket, tenant_id, data)
     select $1, $2, bucket, $3, data from unnest($4::int[], $5::bytea[]) as b (bucket, data)`,
    [indexId, made.no, tenantId, [...segment.data.keys()], [...segment.data.values()]],
  );
}

/** Tells questions by which rules the words of this index were read. */
async function addLanguage(tx: Transaction, indexId: number, language: string | null): Promise<void> {
  await tx.run(
    'update knowledge_index set languages = array_append(languages, $2) where id = $1 and $2 <> all(languages)',
    [indexId, language ?? 'en'],
  );
}

const readTerms = (passages: Passage[], language: string | null): Promise<string[][]> =>
  mapInSlices(passages, (passage) => terms(inContext(passage), language));
