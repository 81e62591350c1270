import { createHash } from 'node:crypto';

/** How a base turns text into chunks and vectors. Another pipeline means another index. */
export interface Pipeline {
  chunking: { targetChars: number; maxChars: number };
  embedding: { model: string };
}

export const defaultChunking: Pipeline['chunking'] = { targetChars: 1000, maxChars: 1600 };

// What this build does to text before it is indexed. Whoever changes parsing, chunking or terms so that old chunks no
// longer fit new ones raises it: the fingerprint then asks for a new index.
const buildGeneration = 1;

/** Two pipelines with the same fingerprint may share an index. */
export function fingerprint(pipeline: Pipeline, dimensions: number): string {
  return createHash('sha256')
    .update(JSON.stringify([buildGeneration, pipeline.chunking, pipeline.embedding.model, dimensions]))
    .digest('hex');
}
