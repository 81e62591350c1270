import { PermanentFailure } from '../errors.js';
import {
  type Chunks,
  contextHash,
  embeddedText,
  inContext,
  type KnownVector,
  type Passage,
  type RevisionInWork,
} from '../knowledge/chunks.js';
import { packVector } from '../knowledge/vector-format.js';
import { boundary } from '../platform/boundary.js';
import type { EmbeddingModel } from '../platform/models/embedder.js';
import type { Embedded } from '../platform/models/isolate.js';
import type { Reading } from '../platform/models/tokens.js';
import { mapInSlices } from '../platform/slices.js';

/** What the vectors of a revision cost: how many were bought, for how many tokens, and whether those are the model's own. */
export interface Cost {
  embedded: number;
  tokens: number;
  exact: boolean;
}

// What one call is asked for at most: texts, and characters (some 16,000 tokens, which small servers take).
const batchTexts = 64;
const batchCharacters = 90_000;

// How many passages are looked up and stored before the next are begun: a quarter of their batches are under way at once,
// so that a long document does not wait for one answer after another, and a kill loses little of what was bought.
const windowPassages = 16 * batchTexts;
const batchesPerCall = 4;

/** What a batch is worked on with. */
interface Work {
  revision: RevisionInWork;
  indexId: number;
  model: EmbeddingModel;
  reading: Reading;
  chunks: Chunks;
  progress: { done: number; total: number };
}

/**
 * Batch by batch: copies the vectors that are there, asks the model for the others, stores both. What an attempt that was
 * killed had stored is among the first: at most the batches that were under way are bought twice, one in four of them.
 * @param sources other indexes with vectors of this model
 * @throws PermanentFailure passage_refused or bad_embedding, naming the passage; the others that were begun are stored, so
 * that a later revision without it finds their vectors
 */
export async function embedPassages(
  revision: RevisionInWork,
  indexId: number,
  passages: Passage[],
  model: EmbeddingModel,
  chunks: Chunks,
  sources: readonly number[] = [],
): Promise<Cost> {
  const progress = { done: 0, total: passages.length };
  const reading = await model.reading();
  const work = { revision, indexId, model, reading, chunks, progress };
  const cost = { embedded: 0, tokens: 0, exact: reading.tokens.exact };
  const seen = new Set<string>();
  for (let start = 0; start < passages.length; start += windowPassages) {
    const window = passages.slice(start, start + windowPassages);
    const known = await chunks.knownVectors(revision, [indexId, ...sources], window);
    const { first, again } = withoutRepeats(window, seen);
    const batches = inBatches(first);
    await allOf(batches, Math.max(1, Math.floor(batches.length / batchesPerCall)), async (batch) => {
      const paid = batch.filter((passage) => known.get(key(passage))?.own !== false);
      await embedBatch(work, batch, known);
      cost.embedded += paid.length;
      const tokens = await mapInSlices(paid, (passage) => reading.tokens.count(embeddedText(passage, reading)));
      cost.tokens += tokens.reduce((sum, count) => sum + count, 0);
    });
    const copied = await chunks.knownVectors(revision, [indexId], again);
    for (const batch of inBatches(again)) await embedBatch(work, batch, copied);
  }
  return cost;
}

/** What this revision says a second time has its vector already, or will have it when the first is done. */
function withoutRepeats(passages: Passage[], seen: Set<string>): { first: Passage[]; again: Passage[] } {
  const first: Passage[] = [];
  const again: Passage[] = [];
  for (const passage of passages) {
    const hash = key(passage);
    (seen.has(hash) ? again : first).push(passage);
    seen.add(hash);
  }
  return { first, again };
}

async function embedBatch(
  { revision, indexId, model, reading, chunks, progress }: Work,
  batch: Passage[],
  known: ReadonlyMap<string, KnownVector>,
): Promise<void> {
  const missing = batch.filter((passage) => !known.has(key(passage)));
  const { vectors: made, spoiled } = await model.embed(missing.map((passage) => embeddedText(passage, reading)));
  await boundary('vectors.had', revision.documentId);
  const bought = new Map(
    [...made.entries()].flatMap(([place, vector]) => {
      const passage = missing[place];
      return passage ? [[key(passage), packVector(vector)]] : [];
    }),
  );
  const vectors = batch.map((passage) => known.get(key(passage))?.packed ?? bought.get(key(passage)));
  progress.done += vectors.filter(Boolean).length;
  await chunks.stage(
    revision,
    indexId,
    batch.filter((_, place) => vectors[place]),
    vectors.flatMap((vector) => vector ?? []),
    progress,
  );
  if (spoiled) throw failure(missing[spoiled.place], progress.total, spoiled);
}

/** Neighbours together, as many as one call may hold. */
function inBatches(passages: Passage[]): Passage[][] {
  const batches: Passage[][] = [];
  let characters = 0;
  for (const passage of passages) {
    const { length } = inContext(passage);
    const last = batches.at(-1);
    characters += length;
    if (last && last.length < batchTexts && characters <= batchCharacters) last.push(passage);
    else {
      batches.push([passage]);
      characters = length;
    }
  }
  return batches;
}

/**
 * Does all of them, so many at a time, in their order. After a failure none is begun; it is thrown when those under way
 * have ended, so that nothing is written any more.
 */
async function allOf<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values();
  const failures: unknown[] = [];
  const worker = async () => {
    for (const item of waiting) {
      if (failures.length > 0) return;
      await work(item).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  if (failures.length > 0) throw failures[0];
}

const key = (passage: Passage): string => contextHash(passage).toString('hex');

function failure(passage: Passage | undefined, count: number, { failure: why }: NonNullable<Embedded['spoiled']>) {
  const where = passage
    ? `Passage ${passage.ordinal + 1} of ${count}${passage.page === null ? '' : ` (page ${passage.page})`}`
    : 'A passage';
  return why.kind === 'input'
    ? new PermanentFailure(
        'passage_refused',
        `${where} is not taken by the embedding model: ${why.message}. Change the text there, or leave it out.`,
        false,
        { cause: why },
      )
    : new PermanentFailure(
        'bad_embedding',
        `${where} got no usable vector from the embedding model: ${why.message}. Try again, or change the text there.`,
        true,
        { cause: why },
      );
}
