import type { ContentType, ParsedDocument, ReadBounds } from './parsed.js';
import type { TypeHint } from './media-types.js';

/** What the parent writes to the child's standard input, as one line of JSON. The file's bytes stand in `inputFile`. */
export interface ParseRequest {
  hint: TypeHint;
  bounds: ReadBounds;
}

export interface Parsed {
  contentType: ContentType;
  parsed: ParsedDocument;
}

/** What the child leaves in `resultFile`, whole or not at all. */
export type ParseReply = Parsed | { failure: { code: string; message: string; retryable: boolean } };

// Names in the child's working directory, the only folder it may read documents from and write to.
export const inputFile = 'input';
export const resultFile = 'result.json';

/** The child's third pipe carries one such word a line: once it has started, and when a result is in place. */
export type Verdict = 'ready' | 'spent';
export const verdictPipe = 3;
