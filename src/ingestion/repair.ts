import { Injectable } from '@nestjs/common';
import { Chunks, contextHash, type Passage, passageColumns } from '../knowledge/chunks.js';
import { detectLanguage } from '../knowledge/detect-language.js';
import { fingerprint, type Pipeline } from '../knowledge/pipeline.js';
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
import { readParse } from './stored-parse.js';

/** An index that this build would build in the same way. */
interface Repairable {
  pipeline: Pipeline;
  model: EmbeddingModel;
}

/**
 * Makes a revision whole again in place, from its stored text, or from its bytes where that is gone: its ids, its offsets
 * and what shows it stay as they were.
 */
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
   * @returns false when this build reads the bytes or cuts the text in another way than was stored, or somebody works on it
   * @throws when text and bytes are gone, or the model is not to be had
   */
  async restore(scope: TenantScope, revisionId: string, indexId: number | null): Promise<boolean> {
    const revision = await this.revisions.borrow(scope, revisionId);
    if (!revision) return false;
    try {
      const parsed = (await this.textOf(revision)) ?? (await this.readAgain(revision));
      if (!parsed) return false;
      return indexId === null || (await this.restoreChunks(revision, indexId, parsed));
    } finally {
      await this.revisions.giveBack(revision);
    }
  }

  private async textOf(revision: LeasedRevision): Promise<ParsedDocument | null> {
    const stored = await this.database.as(revision, (tx) => readParse(tx, revision.id));
    return stored?.parsed ?? null;
  }

  /**
   * Every offset that is stored must point at the same words, or citations would no longer be true.
   * @returns null when this build reads the bytes otherwise; the text, stored, when it does not
   */
  private async readAgain(revision: LeasedRevision): Promise<ParsedDocument | null> {
    const parsed = await this.parse(revision);
    const stored = await this.stored(revision, null);
    if (stored.some(({ start, end, text }) => parsed.text.slice(start, end) !== text)) return null;
    await this.keepText(revision, parsed);
    return parsed;
  }

  private async parse(revision: LeasedRevision): Promise<ParsedDocument> {
    const hint = { filename: revision.filename, declared: revision.declaredType };
    const options = { owner: revision.tenantId, lane: 'slow' as const };
    const { parsed } = await this.blobs.asFile(revision.tenantId, revision.contentHash, (path) =>
      this.parsers.parse(path, hint, options),
    );
    return parsed;
  }

  /** @param indexId null: in all indexes of its base */
  private stored(revision: LeasedRevision, indexId: number | null): Promise<Passage[]> {
    return this.database.as(revision, (tx) =>
      tx.rows<Passage>(
        `select ${passageColumns} from chunk c join knowledge_index i on i.id = c.index_id and i.knowledge_base_id = $1
         where c.revision_id = $2 and ($3::int is null or c.index_id = $3)`,
        [revision.knowledgeBaseId, revision.id, indexId],
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
    const index = await this.index(revision, indexId);
    if (!index) return false;
    const { pipeline, model } = index;
    const ruler = rulerOf(pipeline.chunking, await model.reading());
    const passages = await mapInSlices(passagesOf(parsed, ruler), (passage) => passage);
    if (passages.length === 0 || !isCutAs(await this.stored(revision, indexId), passages)) return false;
    const work = this.revisions.inWork(revision);
    await embedPassages(work, indexId, passages, model, this.chunks);
    const language = pipeline.language ?? (await detectLanguage(parsed.text));
    await this.postings.write(work, indexId, passages, language);
    return this.show(revision, indexId);
  }

  /** Null when it is being built, another build of the service has built it, or its model is not configured here. */
  private async index(revision: LeasedRevision, indexId: number): Promise<Repairable | null> {
    const index = await this.database.as(revision, (tx) =>
      tx.row<{ fingerprint: string; pipeline: Pipeline; dimensions: number }>(
        'select fingerprint, pipeline, dimensions from knowledge_index where id = $1 and not building',
        [indexId],
      ),
    );
    if (!index || index.fingerprint !== fingerprint(index.pipeline, index.dimensions)) return null;
    const model = this.embedder.find(index.pipeline.embedding);
    return model && { pipeline: index.pipeline, model };
  }

  /** Shown where the rest of it is. When nothing of it was left, it is published anew, unless a sync holds it back. */
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
         where r.id = $1 and r.sync_id is null and r.status in ('staged', 'ready') and not exists (
           select from revision n where n.document_id = r.document_id and n.number > r.number and n.status in ('staged', 'ready'))
         on conflict (knowledge_base_id, document_id) do nothing`,
        [revision.id],
      );
      return (
        asked > 0 ||
        (await tx.row('select 1 from revision where id = $1 and sync_id is not null', [revision.id])) !== null
      );
    });
  }
}

/** Whether what is stored of a text was cut as these were: under the ordinals of another cut stand other words. */
function isCutAs(stored: readonly Passage[], passages: readonly Passage[]): boolean {
  return stored.every((was) => {
    const is = passages[was.ordinal];
    return is?.start === was.start && is.end === was.end && contextHash(is).equals(contextHash(was));
  });
}
