import type { Config } from '../../config.js';
import { PermanentFailure } from '../../errors.js';

export const DOCX = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';
export const PPTX = 'application/vnd.openxmlformats-officedocument.presentationml.presentation';
export const XLSX = 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet';
export const NOTEBOOK = 'application/x-ipynb+json';
/** Atom, too: what it is stands in the first element. */
export const FEED = 'application/rss+xml';

export type ContentType =
  | 'application/pdf'
  | typeof DOCX
  | typeof PPTX
  | typeof XLSX
  | 'application/epub+zip'
  | 'application/json'
  | typeof NOTEBOOK
  | typeof FEED
  | 'message/rfc822'
  | 'text/csv'
  | 'text/html'
  | 'text/markdown'
  | 'text/mdx'
  | 'text/plain';

export type BlockKind = 'heading' | 'paragraph' | 'list' | 'table' | 'code';

/** `[start, end)` in UTF-16 code units of the text. */
export interface TextSpan {
  start: number;
  end: number;
}

/**
 * A stretch of the text. `level` is 1-6 and only on headings; `page` is 1-based, null without pages. A table may name what
 * its rows cannot be understood without: `header`, the header rows at its own beginning (up to 1,000 characters), and
 * `caption`, the block before it (up to 300). A passage that is cut from the table takes both along.
 */
export interface Block extends TextSpan {
  kind: BlockKind;
  level?: number;
  page: number | null;
  header?: TextSpan;
  caption?: TextSpan;
}

/** The text of one page, 1-based; an empty page has `start === end`. */
export interface PageSpan {
  page: number;
  start: number;
  end: number;
}

/**
 * What every parser makes of every format. `text` is what is stored, shown and cited; all offsets are UTF-16 code units
 * into it, half-open. `blocks` are in order, do not overlap, and are separated by a blank line in `text`.
 */
export interface ParsedDocument {
  title: string | null;
  text: string;
  blocks: Block[];
  pages: PageSpan[];
}

/**
 * How much a file may hold before its reader gives up: `entries` of an archive, `inflatedBytes` of all its parts,
 * `partBytes` of one, inflated to packed `ratio` past 1 MiB, `depth` of XML, `pages`, table `cells`, `blocks` of
 * text, and `textChars` in UTF-16 code units.
 */
export type ReadBounds = Config['parser']['bounds'];

export interface Parser {
  readonly contentType: ContentType;
  /** Throws `PermanentFailure` with a stable code when the bytes cannot be read. */
  parse(bytes: Buffer, bounds: ReadBounds): Promise<ParsedDocument>;
}

export const emptyDocument = (): PermanentFailure =>
  new PermanentFailure('empty_document', 'The document holds no text: there is nothing to search or to cite in it.');

export const nestingTooDeep = (cause?: unknown): PermanentFailure =>
  new PermanentFailure(
    'nesting_too_deep',
    'The document nests its elements too deeply to be read: simplify it or save it in another format.',
    false,
    { cause },
  );

/** What a library's own error means to the owner: a named failure passes through, anything else is "unreadable". */
export function asUnreadable(error: unknown, what: string): PermanentFailure {
  if (error instanceof PermanentFailure) return error;
  if (error instanceof RangeError && /call stack/i.test(error.message)) return nestingTooDeep(error);
  return new PermanentFailure(
    'unreadable_document',
    `The file is damaged or is not a valid ${what}: open it, save it again and upload the new copy.`,
    false,
    { cause: error },
  );
}
