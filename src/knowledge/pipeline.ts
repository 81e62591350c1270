import { createHash } from 'node:crypto';

/**
 * Chunks grow up to the target, and none is larger than the maximum: in tokens of the base's embedding model, or in UTF-16
 * code units.
 */
export type ChunkSizes = { targetTokens: number; maxTokens: number } | { targetChars: number; maxChars: number };

/** How a base turns text into chunks and vectors. Another pipeline means another index. */
export interface Pipeline {
  chunking: ChunkSizes;
  embedding: { model: string };
}

// Of the built-in model's tokens of four characters: 1,100 and 1,300 characters did best (docs/quality.md).
export const defaultChunking = { targetTokens: 275, maxTokens: 325 };

/** What a caller may wish of them; the rest is filled in. */
export interface ChunkWish {
  targetTokens?: number;
  maxTokens?: number;
  targetChars?: number;
  maxChars?: number;
}

/** @returns null for a wish in both units at once */
export function chunkSizes(wish: ChunkWish = {}): ChunkSizes | null {
  const { targetTokens, maxTokens, targetChars, maxChars } = wish;
  if (targetChars === undefined && maxChars === undefined) {
    const [target, max] = filled(targetTokens, maxTokens, 1);
    return { targetTokens: target, maxTokens: max };
  }
  if (targetTokens !== undefined || maxTokens !== undefined) return null;
  const [target, max] = filled(targetChars, maxChars, 4);
  return { targetChars: target, maxChars: max };
}

/** The default for what is missing, unless the other contradicts it. */
function filled(target: number | undefined, max: number | undefined, perToken: number): [target: number, max: number] {
  const own = target ?? Math.min(defaultChunking.targetTokens * perToken, max ?? Infinity);
  return [own, Math.max(max ?? defaultChunking.maxTokens * perToken, own)];
}

// What this build does to text before it is indexed. Whoever changes parsing, chunking or terms so that old chunks no
// longer fit new ones raises it: the fingerprint then asks for a new index.
const buildGeneration = 1;

/** Two pipelines with the same fingerprint may share an index. */
export function fingerprint(pipeline: Pipeline, dimensions: number): string {
  return createHash('sha256')
    .update(JSON.stringify([buildGeneration, pipeline.chunking, pipeline.embedding.model, dimensions]))
    .digest('hex');
}
