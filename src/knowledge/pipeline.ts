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
  /** What all documents are in, as an ISO 639-1 code. Absent: told of each by its text. */
  language?: string;
}

export const defaultChunking: ChunkSizes = { targetChars: 1100, maxChars: 1300 };

/** Whether it is a language's ISO 639-1 code, in lower case. */
export const isLanguage = (code: string): boolean => /^[a-z]{2}$/.test(code) && languageNames.of(code) !== undefined;

const languageNames = new Intl.DisplayNames(['en'], { type: 'language', fallback: 'none' });

// What this build does to text before it is indexed. Whoever changes parsing, chunking or terms so that old chunks no
// longer fit new ones raises it: the fingerprint then asks for a new index.
const buildGeneration = 1;

/** Two pipelines with the same fingerprint may share an index. */
export function fingerprint(pipeline: Pipeline, dimensions: number): string {
  const { chunking, embedding, language } = pipeline;
  // A language that is not chosen is left out: so were all, and their indexes stay good.
  const chosen = language === undefined ? [] : [language];
  return createHash('sha256')
    .update(JSON.stringify([buildGeneration, chunking, embedding.model, dimensions, ...chosen]))
    .digest('hex');
}
