import { createHash } from 'node:crypto';
import type { EmbeddingWish } from '../platform/models/embedder.js';

/**
 * Chunks grow up to the target, and none is larger than the maximum: in tokens of the base's embedding model, or in UTF-16
 * code units.
 */
export type ChunkSizes = { targetTokens: number; maxTokens: number } | { targetChars: number; maxChars: number };

/** How a base turns text into chunks and vectors. Another pipeline means another index. */
export interface Pipeline {
  chunking: ChunkSizes;
  /** `dimensions` absent: as many numbers a vector as the model gives. */
  embedding: EmbeddingWish;
  /** What all documents are in, as an ISO 639-1 code. Absent: told of each by its text. */
  language?: string;
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

/** Whether it is a language's ISO 639-1 code, in lower case. */
export const isLanguage = (code: string): boolean => /^[a-z]{2}$/.test(code) && languageNames.of(code) !== undefined;

const languageNames = new Intl.DisplayNames(['en'], { type: 'language', fallback: 'none' });

// What this build does to text before it is indexed. Whoever changes terms, or what is embedded of a passage, so that old
// rows do not rank beside new ones raises it: every base then refuses uploads (`reindex_needed`) until it is reindexed.
// Where a text is cut may change without that: passages of both cuts stand side by side, each revision being cut as one,
// and a repair in place looks whether it still cuts as was stored.
const buildGeneration = 1;

/** Two pipelines with the same fingerprint may share an index. */
export function fingerprint(pipeline: Pipeline, dimensions: number): string {
  const { chunking, embedding, language } = pipeline;
  // A language that is not chosen is left out: so were all, and their indexes stay good.
  const chosen = language === undefined ? [] : [language];
  // In the order in which they come from the database.
  const sizes = Object.fromEntries(Object.entries(chunking).sort());
  return createHash('sha256')
    .update(JSON.stringify([buildGeneration, sizes, embedding.model, dimensions, ...chosen]))
    .digest('hex');
}
