import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../config.js';
import { PermanentFailure } from '../errors.js';
import { Chunks, contextHash, inContext, type Passage, vectorLiteral } from '../knowledge/chunks.js';
import { Indexes } from '../knowledge/indexes.js';
import { Postings } from '../knowledge/postings.js';
import { LeaseLost, type LeasedRevision, Revisions } from '../knowledge/revisions.js';
import { BlobStore } from '../platform/blobs.js';
import { Database } from '../platform/database.js';
import { LOGGER, type Logger } from '../platform/logger.js';
import { mapInSlices } from '../platform/slices.js';
import { Embedder, type EmbeddingModel } from '../platform/models/embedder.js';
import { passagesOf } from './chunk.js';
import { defaultParseLimits, parseInChild } from './parsers/parse-in-child.js';
import type { ContentType, ParsedDocument } from './parsers/parsed.js';

/** What a revision cost: how many chunks, how many of them needed a new vector, how long each stage took in ms. */
interface Receipt {
  chunks: { total: number; reused: number; embedded: number; removed: number };
  /** An estimate: a quarter of the characters that were embedded. */
  tokensEmbedded: number;
  ms: { parsing: number; chunking: number; embedding: number };
}

const batchSize = 64;
const heartbeatMs = 30_000;

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
    private readonly database: Database,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * Safe to run twice and at the same time: whoever does not get the lease stops. A failure that cannot pass ends the
   * revision with its name; any other gives the lease back and is tried again later.
   * @returns whether the lease was to be had
   */
  async ingest(revisionId: string): Promise<boolean> {
    const revision = await this.revisions.claim(revisionId);
    if (!revision) return false; // done, superseded, or held by another worker
    const abort = new AbortController();
    const beat = setInterval(() => void this.beat(revision, abort), heartbeatMs);
    try {
      await this.carryOut(revision, abort.signal);
    } catch (error) {
      if (error instanceof LeaseLost || abort.signal.aborted) return true;
      const about = { revision: revision.id, document: revision.documentId, requestId: revision.requestId };
      this.logger.warn({ err: error, ...about }, 'an attempt to ingest failed');
      if (error instanceof PermanentFailure) await this.revisions.fail(revision, error);
      else await this.revisions.release(revision);
    } finally {
      clearInterval(beat);
    }
    return true;
  }

  /** A heartbeat that fails for another reason than a lost lease may succeed the next time: the lease lasts for three. */
  private async beat(revision: LeasedRevision, abort: AbortController): Promise<void> {
    try {
      await this.revisions.heartbeat(revision);
    } catch (error) {
      if (error instanceof LeaseLost) abort.abort();
    }
  }

  private async carryOut(revision: LeasedRevision, signal: AbortSignal): Promise<void> {
    const clock = stopwatch();
    const { contentType, parsed } = await this.parse(revision, signal);
    await this.keep(revision, contentType, parsed);
    const parsing = clock();
    await this.revisions.advance(revision, 'chunking', 0, 1);
    const passages = await mapInSlices(passagesOf(parsed, revision.pipeline.chunking), (passage) => passage);
    if (passages.length === 0) throw new PermanentFailure('empty_document', 'No text was found in this document.');
    const chunking = clock();
    const model = this.embedder.find(revision.pipeline.embedding.model);
    if (!model) {
      const name = revision.pipeline.embedding.model;
      throw new PermanentFailure(
        'model_unavailable',
        `This knowledge base is built with ${name}, which is not configured here.`,
        true,
      );
    }
    const counts = await this.embed(revision, model, passages);
    const receipt: Receipt = { ...counts, ms: { parsing, chunking, embedding: clock() } };
    await this.revisions.stage(revision, { ...receipt }, parsed.title);
  }

  private async parse(revision: LeasedRevision, signal: AbortSignal) {
    const { timeoutMs, heapMb, rssMb } = this.config.parser;
    const hint = { filename: revision.filename, declared: revision.declaredType };
    return this.blobs.asFile(revision.tenantId, revision.contentHash, (path) =>
      parseInChild(path, hint, { ...defaultParseLimits, timeoutMs, heapMb, rssMb }, signal),
    );
  }

  /** The stored text, into which all offsets point. */
  private async keep(revision: LeasedRevision, contentType: ContentType, parsed: ParsedDocument): Promise<void> {
    await this.database.as(revision, async (tx) => {
      await this.revisions.hold(tx, revision, 'content_type = $3', [contentType]);
      await tx.run(
        `insert into parse (revision_id, tenant_id, text, blocks, pages) values ($1, $2, $3, $4, $5)
         on conflict (revision_id) do update set text = excluded.text, blocks = excluded.blocks, pages = excluded.pages`,
        [revision.id, revision.tenantId, parsed.text, JSON.stringify(parsed.blocks), JSON.stringify(parsed.pages)],
      );
    });
  }

  /** Batch by batch: copies the vectors this index has, asks the model for the others, stores both. */
  private async embed(
    revision: LeasedRevision,
    model: EmbeddingModel,
    passages: Passage[],
  ): Promise<Pick<Receipt, 'chunks' | 'tokensEmbedded'>> {
    const indexId = await this.indexes.ensure(revision, revision.knowledgeBaseId, revision.pipeline, model);
    await this.revisions.advance(revision, 'embedding', 0, passages.length);
    await this.chunks.clear(revision, indexId);
    let embedded = 0;
    let characters = 0;
    for (let start = 0; start < passages.length; start += batchSize) {
      const batch = passages.slice(start, start + batchSize);
      const known = await this.chunks.knownVectors(revision, indexId, batch);
      const missing = batch.filter((passage) => !known.has(contextHash(passage).toString('hex')));
      const vectors = await model.embed(missing.map(inContext));
      missing.forEach((passage, place) =>
        known.set(contextHash(passage).toString('hex'), vectorLiteral(vectors[place] ?? [])),
      );
      const literals = batch.map((passage) => known.get(contextHash(passage).toString('hex')) ?? '');
      await this.chunks.stage(revision, indexId, batch, literals);
      await this.revisions.advance(
        revision,
        'embedding',
        Math.min(start + batchSize, passages.length),
        passages.length,
      );
      embedded += missing.length;
      characters += missing.reduce((sum, passage) => sum + inContext(passage).length, 0);
    }
    await this.postings.write(revision, indexId, passages);
    const removed = await this.chunks.countGone(revision, indexId, passages);
    return {
      chunks: { total: passages.length, reused: passages.length - embedded, embedded, removed },
      tokensEmbedded: Math.ceil(characters / 4),
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
