import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../config.js';
import { PermanentFailure } from '../errors.js';
import { Chunks, type RevisionInWork, trim } from '../knowledge/chunks.js';
import { detectLanguage } from '../knowledge/detect-language.js';
import { Indexes } from '../knowledge/indexes.js';
import { NearIndexes } from '../knowledge/near-indexes.js';
import { Postings } from '../knowledge/postings.js';
import type { HeldReindex } from '../knowledge/reindexes.js';
import { SegmentMerging } from '../knowledge/segment-merging.js';
import { boundary } from '../platform/boundary.js';
import { Database, type Transaction } from '../platform/database.js';
import { showId } from '../platform/ids.js';
import { Embedder, type EmbeddingModel } from '../platform/models/embedder.js';
import { mapInSlices } from '../platform/slices.js';
import { passagesOf } from './chunk.js';
import { cutOver } from './cut-over.js';
import { embedPassages } from './embed-passages.js';
import { type Builds, type Difference, type Differences, differencesOf } from './index-differences.js';
import { lockBase } from '../knowledge/next-version.js';
import { rulerOf } from './ruler.js';
import { readParse } from './stored-parse.js';

/** The reindex is paused, cancelled or somebody else's by now: whoever gets this stops without a word. */
export class Interrupted extends Error {}

/** The revision was cleared away meanwhile: there is nothing to build. */
class Vanished extends Error {}

const whileThere =
  'select 1 from revision r join document d on d.id = r.document_id where r.id = $1 and d.deleted_at is null';

// Compared with what it should hold once for so many revisions: that reads all of both indexes.
const revisionsPerPass = 1000;

/** Until when a worker is to go on. */
export interface BuildOptions {
  /** Asked before each revision. */
  mayGoOn: () => Promise<boolean>;
  /** Stops within a revision. */
  stop: AbortSignal;
}

interface Build extends BuildOptions {
  reindex: HeldReindex;
  model: EmbeddingModel;
  indexId: number;
  /** Other indexes of the base whose vectors are this model's too. */
  sources: readonly number[];
}

/** `version`: the one that answered then. */
type Compared = Differences & { version: number };

/** A second index from stored texts, revision after revision; what is there already is not built again. */
@Injectable()
export class IndexBuilding {
  constructor(
    private readonly indexes: Indexes,
    private readonly chunks: Chunks,
    private readonly postings: Postings,
    private readonly merging: SegmentMerging,
    private readonly near: NearIndexes,
    private readonly embedder: Embedder,
    private readonly database: Database,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * Goes on until it is cut over, or may not go on, or another version is being judged.
   * @returns whether it is done
   * @throws Interrupted; PermanentFailure when a document that answers cannot be built so; ProviderFailure
   */
  async build(reindex: HeldReindex, options: BuildOptions): Promise<boolean> {
    const model = this.modelOf(reindex);
    model.check();
    const indexId = await this.begin(reindex, model);
    const work = { ...options, reindex, model, indexId, sources: await this.sources(reindex, indexId) };
    const refused = new Set<string>();
    for (let prepared = false; ;) {
      const compared = await this.compare(work, refused);
      for (const difference of compared.rows) {
        if (!(await options.mayGoOn())) return false;
        await this.mend(work, difference, refused);
      }
      if (compared.rows.length > 0) continue;
      if (prepared) {
        const end = await this.finish(work, compared);
        if (end !== 'more') return end === 'done';
        if (!(await options.mayGoOn())) return false;
      } else await this.prepare(work);
      prepared = true;
    }
  }

  private modelOf({ pipeline }: HeldReindex): EmbeddingModel {
    const model = this.embedder.find(pipeline.embedding);
    if (model) return model;
    throw new PermanentFailure(
      'model_unavailable',
      `The model ${pipeline.embedding.model} is not configured here.`,
      true,
    );
  }

  private async begin(reindex: HeldReindex, model: EmbeddingModel): Promise<number> {
    const dimensions = await model.dimensions();
    const index = await this.database.as(reindex, async (tx) => {
      await holdReindex(tx, reindex, this.config.workers.leaseSeconds);
      const there = await tx.row<{ id: number; dimensions: number }>(
        'select i.id, i.dimensions from reindex x join knowledge_index i on i.id = x.index_id where x.id = $1',
        [reindex.id],
      );
      if (there) return there;
      const id = await this.indexes.begin(tx, reindex, reindex.knowledgeBaseId, reindex.pipeline, dimensions);
      await tx.run('update reindex set index_id = $2 where id = $1', [reindex.id, id]);
      return { id, dimensions };
    });
    if (index.dimensions !== dimensions)
      throw new PermanentFailure(
        'bad_embedding',
        `The embedding model gave vectors of ${index.dimensions} numbers when this began and gives ${dimensions} now: begin anew.`,
        true,
      );
    await this.indexes.open(index.id, dimensions);
    return index.id;
  }

  private async sources(reindex: HeldReindex, indexId: number): Promise<number[]> {
    const rows = await this.database.as(reindex, (tx) =>
      tx.rows<{ id: number }>(
        `select o.id from knowledge_index i join knowledge_index o on o.knowledge_base_id = i.knowledge_base_id
           and o.embedding_model = i.embedding_model and o.dimensions = i.dimensions and o.id <> i.id
         where i.id = $1 order by o.id desc`,
        [indexId],
      ),
    );
    return rows.map(({ id }) => id);
  }

  /** Says how far it is, too. */
  private async compare({ reindex, indexId }: Build, refused: ReadonlySet<string>): Promise<Compared> {
    const differences = await this.database.snapshot(reindex, async (tx) => {
      const builds = await readBuilds(tx, reindex.knowledgeBaseId, indexId);
      const found = await differencesOf(tx, builds, { but: [...refused], limit: revisionsPerPass });
      return { ...found, version: builds.activeVersion };
    });
    await this.database.as(reindex, async (tx) => {
      await holdReindex(tx, reindex, this.config.workers.leaseSeconds);
      await tx.run('update reindex set total = $2, done = $3 where id = $1', [
        reindex.id,
        differences.total,
        differences.total - differences.missing,
      ]);
    });
    return differences;
  }

  /** @param refused revisions that wait to be shown and cannot be built: publishing tells of them in its own time */
  private async mend(work: Build, difference: Difference, refused: Set<string>): Promise<void> {
    try {
      if (difference.kind === 'missing') await this.bring(work, difference);
      else await this.adjust(work, difference);
    } catch (error) {
      if (error instanceof Vanished) return;
      if (!(error instanceof PermanentFailure)) throw error;
      if (difference.active)
        throw new PermanentFailure(
          error.code,
          `${showId('doc', difference.documentId)}: ${error.message}`,
          error.retryable,
          { cause: error },
        );
      refused.add(difference.revisionId);
    }
  }

  private async bring(work: Build, { revisionId: id, documentId, active }: Difference): Promise<void> {
    const { reindex, model, indexId } = work;
    const began = performance.now();
    const stored = await this.database.as(reindex, (tx) => readParse(tx, id));
    if (!stored) throw await this.withoutText(reindex, id);
    const revision = this.inWork(work, { id, documentId, active });
    const { chunking, language: chosen } = reindex.pipeline;
    const language = chosen ?? (await detectLanguage(stored.parsed.text));
    const ruler = rulerOf(chunking, await model.reading());
    const passages = await mapInSlices(passagesOf(stored.parsed, ruler), (passage) => passage);
    if (passages.length === 0) throw new PermanentFailure('empty_document', 'No text was found in this document.');
    if (passages.length > this.config.parser.chunks)
      throw new PermanentFailure('chunk_limit', `It would make more than ${this.config.parser.chunks} passages.`);
    const cost = await embedPassages(revision, indexId, passages, model, this.chunks, work.sources);
    await this.postings.write(revision, indexId, passages, language, async (tx) => {
      await trim(tx, revision, indexId, passages.length);
      // Those that an attempt left which was killed before another version was activated.
      await tx.run(`update chunk set visible = $3 where index_id = $1 and revision_id = $2 and visible <> $3`, [
        indexId,
        id,
        revision.visible,
      ]);
      await tx.run(
        `update reindex set done = least(done + 1, total), built = built + 1, worked_ms = worked_ms + $2, chunks = chunks + $3,
           embedded = embedded + $4, tokens_embedded = tokens_embedded + $5, tries = 0 where id = $1`,
        [reindex.id, Math.round(performance.now() - began), passages.length, cost.embedded, Math.ceil(cost.tokens)],
      );
    });
    await boundary('reindex.revision-built', documentId);
  }

  private async withoutText(reindex: HeldReindex, id: string): Promise<Error> {
    const there = await this.database.as(reindex, (tx) => tx.row(whileThere, [id]));
    return there ? new PermanentFailure('text_missing', 'Its stored text is gone: upload it again.') : new Vanished();
  }

  private inWork(
    { reindex, stop }: Build,
    { id, documentId, active }: { id: string; documentId: string; active: boolean },
  ): RevisionInWork {
    const { tenantId, knowledgeBaseId } = reindex;
    const hold = async (tx: Transaction) => {
      if (stop.aborted) throw new Interrupted();
      await holdReindex(tx, reindex, this.config.workers.leaseSeconds);
      if (!(await tx.row(`${whileThere} for key share of r`, [id]))) throw new Vanished();
    };
    return { id, tenantId, documentId, knowledgeBaseId, visible: active ? '{[1,)}' : '{}', hold };
  }

  /** Takes out what is shown no more, and shows or hides what became so while this went on. */
  private async adjust({ reindex, indexId }: Build, { kind, revisionId }: Difference): Promise<void> {
    const parameters = [indexId, revisionId];
    await this.database.as(reindex, async (tx) => {
      await holdReindex(tx, reindex, this.config.workers.leaseSeconds);
      if (kind === 'excess') {
        await tx.run('delete from segment_revision where index_id = $1 and revision_id = $2', parameters);
        await tx.run('delete from chunk_vector where index_id = $1 and revision_id = $2', parameters);
        await tx.run('delete from chunk where index_id = $1 and revision_id = $2', parameters);
      } else
        await tx.run('update chunk set visible = $3 where index_id = $1 and revision_id = $2', [
          ...parameters,
          kind === 'shown' ? '{[1,)}' : '{}',
        ]);
    });
  }

  /** Everything is there: what makes it fast to search is made before anybody searches it. Much may change meanwhile. */
  private async prepare({ reindex, indexId }: Build): Promise<void> {
    await this.merging.merge(reindex, indexId);
    for (const due of await this.near.due(indexId)) await this.near.build(due);
  }

  /**
   * @returns `wait` while another version is being judged, which nobody knows yet whether to follow; `more` when another
   * one answers since they were compared
   */
  private async finish({ reindex }: Build, { version, shown }: Compared): Promise<'done' | 'wait' | 'more'> {
    await boundary('reindex.compared', reindex.knowledgeBaseId);
    return this.database.as(reindex, async (tx) => {
      const base = await lockBase(tx, reindex.knowledgeBaseId);
      if (!base) throw new Interrupted();
      if (base.waiting) return 'wait';
      if (base.active_version !== version) return 'more';
      await holdReindex(tx, reindex, this.config.workers.leaseSeconds);
      await cutOver(tx, base, reindex, shown);
      return 'done';
    });
  }
}

async function readBuilds(tx: Transaction, knowledgeBaseId: string, newIndex: number): Promise<Builds> {
  const row = await tx.row<Omit<Builds, 'newIndex'>>(
    `select b.id as "knowledgeBaseId", b.active_version as "activeVersion", v.index_id as "activeIndex"
     from knowledge_base b join version v on v.knowledge_base_id = b.id and v.number = b.active_version
     where b.id = $1 and b.deleted_at is null`,
    [knowledgeBaseId],
  );
  if (!row) throw new Interrupted();
  return { ...row, newIndex };
}

/** In a transaction that writes for it: proves that it still goes on, and is still this worker's. @throws Interrupted */
export async function holdReindex(tx: Transaction, { id, lease }: HeldReindex, leaseSeconds: number): Promise<void> {
  const held = await tx.run(
    `update reindex set lease_expires_at = now() + make_interval(secs => $3) where id = $1 and lease_token = $2 and status = 'running'`,
    [id, lease, leaseSeconds],
  );
  if (held === 0) throw new Interrupted();
}
