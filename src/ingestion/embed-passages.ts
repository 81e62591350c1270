import { PermanentFailure } from '../errors.js';
import { type Chunks, contextHash, embeddedText, inContext, type Passage } from '../knowledge/chunks.js';
import type { LeasedRevision, Revisions } from '../knowledge/revisions.js';
import { packVector } from '../knowledge/vector-format.js';
import { boundary } from '../platform/boundary.js';
import type { EmbeddingModel } from '../platform/models/embedder.js';
import type { Embedded } from '../platform/models/isolate.js';

/** What the vectors of a revision cost: how many were bought, for how many characters. */
export interface Cost {
  embedded: number;
  characters: number;
}

const batchSize = 64;

/**
 * Batch by batch: copies the vectors this index has, asks the model for the others, stores both. What an attempt that was
 * killed had stored is among the first: at most the batch that was under way is bought twice.
 * @throws PermanentFailure passage_refused or bad_embedding, naming the passage; those before it are stored, so that a
 * later revision without it finds their vectors
 */
export async function embedPassages(
  revision: LeasedRevision,
  indexId: number,
  passages: Passage[],
  model: EmbeddingModel,
  { chunks, revisions }: { chunks: Chunks; revisions: Revisions },
): Promise<Cost> {
  const cost = { embedded: 0, characters: 0 };
  const reading = await model.reading();
  for (let start = 0; start < passages.length; start += batchSize) {
    const batch = passages.slice(start, start + batchSize);
    const vectors = await chunks.knownVectors(revision, indexId, batch);
    const missing = batch.filter((passage) => !vectors.has(key(passage)));
    const paid = batch.filter((passage) => vectors.get(key(passage))?.own !== false);
    const { vectors: made, spoiled } = await model.embed(missing.map((passage) => embeddedText(passage, reading)));
    await boundary('vectors.had', revision.documentId);
    for (const [place, vector] of made.entries()) {
      const passage = missing[place];
      if (passage) vectors.set(key(passage), { packed: packVector(vector), own: true });
    }
    const stored = batch.filter((passage) => vectors.has(key(passage)));
    const packed = stored.flatMap((passage) => vectors.get(key(passage))?.packed ?? []);
    await chunks.stage(revision, indexId, stored, packed);
    await revisions.advance(revision, 'embedding', start + stored.length, passages.length);
    if (spoiled) throw failure(missing[spoiled.place], passages.length, spoiled);
    cost.embedded += paid.length;
    cost.characters += paid.reduce((sum, passage) => sum + inContext(passage).length, 0);
  }
  return cost;
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
