import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../config.js';
import { PermanentFailure } from '../errors.js';
import { Chunks, countGone, type Passage, trim } from '../knowledge/chunks.js';
import { detectLanguage } from '../knowledge/detect-language.js';
import { Indexes } from '../knowledge/indexes.js';
import { Postings } from '../knowledge/postings.js';
import { type Lane, LeaseLost, type LeasedRevision, Revisions } from '../knowledge/revisions.js';
import { BlobStore } from '../platform/blobs.js';
import { boundary } from '../platform/boundary.js';
import { Database } from '../platform/database.js';
import { LOGGER, type Logger } from '../platform/logger.js';
import { Embedder, type EmbeddingModel } from '../platform/models/embedder.js';
import { ProviderFailure } from '../platform/models/provider-failure.js';
import { mapInSlices } from '../platform/slices.js';
import { passagesOf } from './chunk.js';
import { embedPassages } from './embed-passages.js';
import { readParse } from './stored-parse.js';
import type { ContentType, ParsedDocument } from './parsers/parsed.js';
import type { Parsed } from './parsers/parse-protocol.js';
import { ParserPool } from './parsers/parser-pool.js';
import { rulerOf } from './ruler.js';

/** What a revision cost: how many chunks, how many of them needed a new vector, how long each stage took in ms. */
interface Receipt {
  chunks: { total: number; reused: number; embedded: number; removed: number };
  tokensEmbedded: number;
  /** Whether they were counted as the model counts, or guessed: its own way is not known of every model. */
  tokenCount: 'exact' | 'estimate';
  ms: { parsing: number; chunking: number; embedding: number };
}

// Between two attempts while a provider is down that does not say when it may be asked again, and the longest it may say.
const outageMs = 15_000;
const longestOutageMs = 600_000;

export interface IngestOptions {
  lane?: Lane;
  /** Ends the reading of a file at once; the revision is tried again. */
  stop?: AbortSignal;
  /** Asked when a file could go on in the slow lane while it is being read. */
  moves?: () => boolean;
}

interface ReadOptions extends Pick<IngestOptions, 'moves'> {
  signal: AbortSignal;
}

/** Nothing is wrong with the file so far: it only needs more time than one gets while others wait. */
class TakesLong extends Error {}

const tooManyPassages = (most: number): PermanentFailure =>
  new PermanentFailure('chunk_limit', `The document makes more than ${most} passages: split it into smaller files.`);

/** One revision from its stored bytes to staged chunks. */
@Injectable()
export class Ingestion {
  constructor(
    private readonly revisions: Revisions,
    private readonly blobs: BlobStore,
    private readonly indexes: Indexes,
    private readonly chunks: Chunks,
    private readonly postings: Postings,
    private readonly embedder: Embedder,
    private readonly parsers: ParserPool,
    private readonly database: Database,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * Safe to run twice and at the same time: whoever does not get the lease stops. A failure that cannot pass ends the
   * revision with its name. While the embedding model is down the revision waits, however long; after any other failure
   * it is tried again, though not for ever. A file that takes longer to read than most leaves its place to the next one,
   * and waits for the slow lane, or goes on there.
   * @returns whether the lease was to be had
   */
  async ingest(revisionId: string, { lane = 'fast', stop, moves }: IngestOptions = {}): Promise<boolean> {
    const revision = await this.revisions.claim(revisionId, lane);
    if (!revision) return false; // done, superseded, waiting for the other lane, or held by another worker
    const abort = new AbortController();
    const beat = setInterval(() => void this.beat(revision, abort), (this.config.workers.leaseSeconds * 1000) / 3);
    try {
      await this.carryOut(revision, { signal: stop ? AbortSignal.any([abort.signal, stop]) : abort.signal, moves });
    } catch (error) {
      await this.giveUp(revision, error, abort.signal);
    } finally {
      clearInterval(beat);
    }
    return true;
  }

  private async giveUp(revision: LeasedRevision, error: unknown, lost: AbortSignal): Promise<void> {
    if (error instanceof LeaseLost || lost.aborted) return;
    if (error instanceof TakesLong) return this.revisions.defer(revision);
    const about = { revision: revision.id, document: revision.documentId, requestId: revision.requestId };
    this.logger.warn({ err: error, ...about }, 'an attempt to ingest failed');
    if (error instanceof PermanentFailure) await this.revisions.fail(revision, error);
    else if (error instanceof ProviderFailure && error.kind === 'passing') {
      const waitMs = Math.min(error.retryAfterMs ?? outageMs, longestOutageMs);
      await this.revisions.postpone(revision, waitMs);
    } else await this.revisions.release(revision);
  }

  /** A heartbeat that fails for another reason than a lost lease may succeed the next time: the lease lasts for three. */
  private async beat(revision: LeasedRevision, abort: AbortController): Promise<void> {
    try {
      await this.revisions.heartbeat(revision);
    } catch (error) {
      if (error instanceof LeaseLost) abort.abort();
    }
  }

  private async carryOut(revision: LeasedRevision, how: ReadOptions): Promise<void> {
    const model = this.modelOf(revision);
    model.check();
    const clock = stopwatch();
    await boundary('parse.begun', revision.documentId);
    const { contentType, parsed } = (await this.stored(revision)) ?? (await this.parse(revision, how));
    const language = revision.pipeline.language ?? (await detectLanguage(parsed.text));
    await this.keep(revision, contentType, parsed, language);
    await boundary('parse.kept', revision.documentId);
    const parsing = clock();
    const ruler = rulerOf(revision.pipeline.chunking, await model.reading());
    const passages = await mapInSlices(passagesOf(parsed, ruler), (passage) => passage);
    if (passages.length > this.config.parser.chunks) throw tooManyPassages(this.config.parser.chunks);
    if (passages.length === 0) throw new PermanentFailure('empty_document', 'No text was found in this document.');
    const chunking = clock();
    const counts = await this.embed(revision, model, passages, language);
    const receipt: Receipt = { ...counts, ms: { parsing, chunking, embedding: clock() } };
    await this.revisions.stage(revision, { ...receipt }, parsed.title);
    await boundary('revision.staged', revision.documentId);
  }

  private modelOf({ pipeline }: LeasedRevision): EmbeddingModel {
    const model = this.embedder.find(pipeline.embedding);
    if (model) return model;
    const sentence = `This knowledge base is built with ${pipeline.embedding.model}, which is not configured here.`;
    throw new PermanentFailure('model_unavailable', sentence, true);
  }

  /** The text of a revision that was staged before, for an index that is not the base's any more: it is not read again. */
  private async stored(revision: LeasedRevision): Promise<Parsed | null> {
    if (!revision.wasStaged) return null;
    return this.database.as(revision, (tx) => readParse(tx, revision.id));
  }

  private async parse(revision: LeasedRevision, { signal, moves }: ReadOptions): Promise<Parsed> {
    const { timeoutMs, patienceMs } = this.config.parser;
    const hint = { filename: revision.filename, declared: revision.declaredType };
    let patient = revision.lane === 'slow' || patienceMs >= timeoutMs;
    const move = () => {
      if (!moves?.()) return false;
      patient = true;
      void this.revisions.moveToSlow(revision).catch((err: unknown) => {
        this.logger.warn({ err, revision: revision.id }, 'a file that moved to the slow lane is not marked so');
      });
      return true;
    };
    const limits = patient ? {} : { patienceMs, moves: move };
    const options = { owner: revision.tenantId, lane: revision.lane, ...limits, signal };
    try {
      return await this.blobs.asFile(revision.tenantId, revision.contentHash, (path) =>
        this.parsers.parse(path, hint, options),
      );
    } catch (error) {
      const outOfTime = error instanceof PermanentFailure && error.code === 'parser_timeout';
      throw outOfTime && !patient ? new TakesLong() : error;
    }
  }

  /** The stored text, into which all offsets point. It is to be cut next. */
  private async keep(
    revision: LeasedRevision,
    contentType: ContentType,
    parsed: ParsedDocument,
    language: string | null,
  ): Promise<void> {
    await this.database.as(revision, async (tx) => {
      const set = `status = 'chunking', done = 0, total = 1, content_type = $3, language = $4`;
      await this.revisions.hold(tx, revision, set, [contentType, language]);
      await tx.run(
        `insert into parse (revision_id, tenant_id, text, blocks, pages) values ($1, $2, $3, $4, $5)
         on conflict (revision_id) do update set text = excluded.text, blocks = excluded.blocks, pages = excluded.pages`,
        [revision.id, revision.tenantId, parsed.text, JSON.stringify(parsed.blocks), JSON.stringify(parsed.pages)],
      );
    });
  }

  private async embed(
    revision: LeasedRevision,
    model: EmbeddingModel,
    passages: Passage[],
    language: string | null,
  ): Promise<Omit<Receipt, 'ms'>> {
    const indexId = await this.indexes.ensure(revision, model);
    await this.revisions.advance(revision, 'embedding', 0, passages.length);
    const work = this.revisions.inWork(revision);
    const { embedded, tokens, exact } = await embedPassages(work, indexId, passages, model, this.chunks);
    let removed = 0;
    await this.postings.write(work, indexId, passages, language, async (tx) => {
      await trim(tx, work, indexId, passages.length);
      removed = await countGone(tx, work, indexId, passages);
    });
    await boundary('postings.written', revision.documentId);
    return {
      chunks: { total: passages.length, reused: passages.length - embedded, embedded, removed },
      tokensEmbedded: Math.ceil(tokens),
      tokenCount: exact ? 'exact' : 'estimate',
    };
  }
}

/** @returns a function that gives the whole milliseconds since it was last called */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const passed = Math.round(now - last);
    last = now;
    return passed;
  };
}
