import { createHash } from 'node:crypto';

/** Sizes in UTF-16 code units: chunks grow up to `targetChars`, and none is longer than `maxChars`. */
export interface ChunkSizes {
  targetChars: number;
  maxChars: number;
}

/** How a base turns text into chunks and vectors. Another pipeline means another index. */
export interface Pipeline {
  chunking: ChunkSizes;
  embedding: { model: string };
}

export const defaultChunking: ChunkSizes = { targetChars: 1100, maxChars: 1300 };

// What this build does to text before it is indexed. Whoever changes parsing, chunking or terms so that old chunks no
// longer fit new ones raises it: the fingerprint then asks for a new index.
const buildGeneration = 1;

/** Two pipelines with the same fingerprint may share an index. */
export function fingerprint(pipeline: Pipeline, dimensions: number): string {
  return createHash('sha256')
    .update(JSON.stringify([buildGeneration, pipeline.chunking, pipeline.embedding.model, dimensions]))
    .digest('hex');
}
