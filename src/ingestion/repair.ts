import { Injectable } from '@nestjs/common';
import { Chunks, type Passage, passageColumns } from '../knowledge/chunks.js';
import { fingerprint } from '../knowledge/pipeline.js';
import { Postings } from '../knowledge/postings.js';
import { type LeasedRevision, Revisions } from '../knowledge/revisions.js';
import { BlobStore } from '../platform/blobs.js';
import { Database, type TenantScope } from '../platform/database.js';
import { Embedder, type EmbeddingModel } from '../platform/models/embedder.js';
import { mapInSlices } from '../platform/slices.js';
import { passagesOf } from './chunk.js';
import { embedPassages } from './embed-passages.js';
import type { ParsedDocument } from './parsers/parsed.js';
import { ParserPool } from './parsers/parser-pool.js';
import { rulerOf } from './ruler.js';

/** Makes a revision whole again from its bytes, in place: its ids, its offsets and what shows it stay as they were. */
@Injectable()
export class Repair {
  constructor(
    private readonly database: Database,
    private readonly revisions: Revisions,
    private readonly blobs: BlobStore,
    private readonly parsers: ParserPool,
    private readonly embedder: Embedder,
    private readonly chunks: Chunks,
    private readonly postings: Postings,
  ) {}

  /**
   * @param indexId where its chunks are to be made whole; null: only its text
   * @returns false when this build reads or cuts the bytes in another way than was stored, or somebody works on it
   * @throws when the bytes are gone, or the model is not to be had
   */
  async restore(scope: TenantScope, revisionId: string, indexId: number | null): Promise<boolean> {
    const revision = await this.revisions.borrow(scope, revisionId);
    if (!revision) return false;
    try {
      const parsed = await this.parse(revision);
      if (!(await this.agrees(revision, parsed))) return false;
      await this.keepText(revision, parsed);
      return indexId === null || (await this.restoreChunks(revision, indexId, parsed));
    } finally {
      await this.revisions.giveBack(revision);
    }
  }

  private async parse(revision: LeasedRevision): Promise<ParsedDocument> {
    const hint = { filename: revision.filename, declared: revision.declaredType };
    const options = { owner: revision.tenantId, lane: 'slow' as const };
    const { parsed } = await this.blobs.asFile(revision.tenantId, revision.contentHash, (path) =>
      this.parsers.parse(path, hint, options),
    );
    return parsed;
  }

  /** Every offset that is stored must point at the same words, or citations would no longer be true. */
  private async agrees(revision: LeasedRevision, { text }: ParsedDocument): Promise<boolean> {
    const stored = await this.stored(revision);
    return stored.every((passage) => text.slice(passage.start, passage.end) === passage.text);
  }

  private stored(revision: LeasedRevision): Promise<Passage[]> {
    return this.database.as(revision, (tx) =>
      tx.rows<Passage>(
        `select ${passageColumns} from chunk c join knowledge_index i on i.id = c.index_id and i.knowledge_base_id = $1
         where c.revision_id = $2`,
        [revision.knowledgeBaseId, revision.id],
      ),
    );
  }

  private async keepText(revision: LeasedRevision, { text, blocks, pages }: ParsedDocument): Promise<void> {
    await this.database.as(revision, (tx) =>
      tx.run(
        `insert into parse (revision_id, tenant_id, text, blocks, pages) values ($1, $2, $3, $4, $5) on conflict do nothing`,
        [revision.id, revision.tenantId, text, JSON.stringify(blocks), JSON.stringify(pages)],
      ),
    );
  }

  private async restoreChunks(revision: LeasedRevision, indexId: number, parsed: ParsedDocument): Promise<boolean> {
    const model = await this.modelOf(revision, indexId);
    if (!model) return false;
    const ruler = rulerOf(revision.pipeline.chunking, await model.reading());
    const passages = await mapInSlices(passagesOf(parsed, ruler), (passage) => passage);
    const work = this.revisions.inWork(revision);
    await embedPassages(work, indexId, passages, model, this.chunks);
    const language = await this.database.as(revision, (tx) =>
      tx.row<{ language: string | null }>('select language from revision where id = $1', [revision.id]),
    );
    await this.postings.write(work, indexId, passages, language?.language ?? null);
    return this.show(revision, indexId);
  }

  /** The model of the index, if the base still builds it in this way. */
  private async modelOf(revision: LeasedRevision, indexId: number): Promise<EmbeddingModel | null> {
    const index = await this.database.as(revision, (tx) =>
      tx.row<{ fingerprint: string; dimensions: number }>(
        'select fingerprint, dimensions from knowledge_index where id = $1',
        [indexId],
      ),
    );
    if (!index || index.fingerprint !== fingerprint(revision.pipeline, index.dimensions)) return null;
    return this.embedder.find(revision.pipeline.embedding);
  }

  /** Shown where the rest of it is. When nothing of it was left, it is published anew. */
  private show(revision: LeasedRevision, indexId: number): Promise<boolean> {
    return this.database.as(revision, async (tx) => {
      const rest = await tx.row<{ visible: string }>(
        `select visible::text as visible from chunk where index_id = $1 and revision_id = $2 and not isempty(visible) order by ordinal limit 1`,
        [indexId, revision.id],
      );
      if (rest) {
        await tx.run('update chunk set visible = $3 where index_id = $1 and revision_id = $2 and isempty(visible)', [
          indexId,
          revision.id,
          rest.visible,
        ]);
        return true;
      }
      const asked = await tx.run(
        `insert into pending_change (tenant_id, knowledge_base_id, document_id, kind, revision_id)
         select r.tenant_id, r.knowledge_base_id, r.document_id, 'publish', r.id from revision r
         where r.id = $1 and r.status in ('staged', 'ready') and not exists (
           select from revision n where n.document_id = r.document_id and n.number > r.number and n.status in ('staged', 'ready'))
         on conflict (knowledge_base_id, document_id) do nothing`,
        [revision.id],
      );
      return asked > 0;
    });
  }
}
