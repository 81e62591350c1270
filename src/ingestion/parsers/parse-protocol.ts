import type { ContentType, ParsedDocument } from './parsed.js';
import type { TypeHint } from './sniff.js';

/** What the parent writes to the child's standard input, as one JSON value. */
export interface ParseRequest {
  path: string;
  hint: TypeHint;
  textChars: number;
  pages: number;
}

/** What the child leaves in `resultFile` of its working directory, whole or not at all. */
export type ParseReply =
  | { contentType: ContentType; parsed: ParsedDocument; maxRssMb: number }
  | { failure: { code: string; message: string; retryable: boolean } };

export const resultFile = 'result.json';
