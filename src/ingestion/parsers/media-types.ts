import { extname } from 'node:path';
import { type ContentType, DOCX, FEED, NOTEBOOK, PPTX, XLSX } from './parsed.js';

/** What the sender says of a file: hints only, never trusted. */
export interface TypeHint {
  filename: string | null;
  declared: string | null;
}

export const PDF = 'application/pdf';

/** Formats that are told by their bytes: which names and declarations promise one. */
const BINARY: { type: ContentType; extension: RegExp; declared: readonly string[] }[] = [
  { type: PDF, extension: /^\.pdf$/, declared: [PDF, 'application/x-pdf'] },
  { type: DOCX, extension: /^\.do[ct][xm]$/, declared: [DOCX] },
  { type: PPTX, extension: /^\.(?:ppt|pps|pot)[xm]$/, declared: [PPTX] },
  { type: XLSX, extension: /^\.xl[st][xm]$/, declared: [XLSX] },
  { type: 'application/epub+zip', extension: /^\.epub$/, declared: ['application/epub+zip'] },
];

/** The binary formats that name and declaration promise; none, for a file that only claims to be some text. */
export function promisedBy({ filename, declared }: TypeHint): Set<ContentType> {
  const mime = bareType(declared);
  const extension = extensionOf(filename);
  const found = BINARY.filter((format) => format.extension.test(extension) || format.declared.includes(mime));
  return new Set(found.map(({ type }) => type));
}

const BY_NAME: [RegExp, ContentType][] = [
  [/^\.mdx$/, 'text/mdx'],
  [/^\.(?:md|markdown|mkd|mdown)$/, 'text/markdown'],
  [/^\.(?:csv|tsv|tab)$/, 'text/csv'],
  [/^\.(?:json|jsonl|ndjson)$/, 'application/json'],
  [/^\.ipynb$/, NOTEBOOK],
  [/^\.(?:rss|atom)$/, FEED],
  [/^\.eml$/, 'message/rfc822'],
];
const BY_DECLARATION: Record<string, ContentType> = {
  'text/mdx': 'text/mdx',
  'text/markdown': 'text/markdown',
  'text/x-markdown': 'text/markdown',
  'text/csv': 'text/csv',
  'application/csv': 'text/csv',
  'text/tab-separated-values': 'text/csv',
  'application/json': 'application/json',
  'application/x-ndjson': 'application/json',
  'application/jsonl': 'application/json',
  [NOTEBOOK]: NOTEBOOK,
  [FEED]: FEED,
  'application/atom+xml': FEED,
  'message/rfc822': 'message/rfc822',
  'text/plain': 'text/plain',
  'text/html': 'text/html',
  'application/xhtml+xml': 'text/html',
};

/**
 * Which kind of text the sender says it is, or null. Senders rarely know the types of formats that are written in letters
 * (they say `text/plain`, or nothing); the name does, and READMEs often begin with a tag.
 */
export function textTypeOf({ filename, declared }: TypeHint): ContentType | null {
  const mime = bareType(declared);
  const extension = extensionOf(filename);
  const named = BY_NAME.find(([pattern]) => pattern.test(extension))?.[1];
  const said = Object.hasOwn(BY_DECLARATION, mime) ? BY_DECLARATION[mime]! : null;
  if (said === 'text/markdown' || (!named && said)) return said;
  if (named) return named;
  if (/^\.x?html?$/.test(extension)) return 'text/html';
  return extension === '.txt' || extension === '.text' ? 'text/plain' : null;
}

const bareType = (declared: string | null): string => declared?.split(';')[0]?.trim().toLowerCase() ?? '';

const extensionOf = (filename: string | null): string => extname(filename?.trim() ?? '').toLowerCase();
