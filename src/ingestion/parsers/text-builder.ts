import { PermanentFailure } from '../../errors.js';
import { type Block, type BlockKind, type PageSpan, type ParsedDocument, type ReadBounds } from './parsed.js';
import type { TableText } from './table-rows.js';

const SEPARATOR = '\n\n';

// Control characters, soft hyphens, zero-width marks, bidi overrides and the invisible "tag" letters: PostgreSQL refuses
// U+0000, and the others hide text from the reader that a model would still obey. ZWJ and ZWNJ stay: Persian, the Indic
// scripts and emoji are spelled with them.
/* oxlint-disable no-control-regex -- naming control characters is the purpose of these patterns */
const UNWANTED =
  /[\u0000-\u0008\u000e-\u001f\u007f-\u009f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\u{e0000}-\u{e007f}]/gu;
const LINE_BREAK = /\r\n?|[\u000b\u000c\u0085\u2028\u2029]/g;
/* oxlint-enable no-control-regex */
const LONE_SURROGATE = /\p{Surrogate}/gu;

/** Well-formed text without U+0000 or invisible marks; every line break is "\n". Never longer than `raw`. */
export function cleanText(raw: string): string {
  return raw.replace(LINE_BREAK, '\n').replace(UNWANTED, '').replace(LONE_SURROGATE, '\ufffd');
}

/** One line: runs of white space are one space, both ends are trimmed. */
export const oneLine = (raw: string): string => cleanText(raw).replace(/\s+/g, ' ').trim();

const solidLines = (lines: readonly string[]): string[] => lines.map(oneLine).filter((line) => line !== '');

/** Drops empty lines at the top, white space at the end; keeps the indentation of the first line, which code needs. */
function trimBlock(text: string): string {
  return text.replace(/^(?:[^\S\n]*\n)+/, '').trimEnd();
}

// What is longer is no name, and would crowd out the rows that it goes with.
const CAPTION_CHARS = 300;
const HEADER_CHARS = 1_000;
const CAPTION = /^(?:table|tab\.|exhibit|schedule|tabelle|tableau|tabla|tabella)\s*[\dIVXLC]+\b|:$/i;

/**
 * The one way by which text enters a `ParsedDocument`: offsets are counted here and nowhere else, so that
 * `text.slice(block.start, block.end)` is the block by construction.
 */
export class TextBuilder {
  private readonly parts: string[] = [];
  private readonly blocks: Block[] = [];
  private readonly pages: PageSpan[] = [];
  private length = 0;
  private cells = 0;

  constructor(private readonly bounds: ReadBounds) {}

  /** How many blocks there are so far. */
  get count(): number {
    return this.blocks.length;
  }

  get isEmpty(): boolean {
    return this.count === 0;
  }

  /** The text of the first level-1 heading, or null; with `lastPage`, only if it stands no later than there. */
  firstHeading(lastPage = Infinity): string | null {
    const at = this.blocks.findIndex((block) => block.kind === 'heading' && block.level === 1);
    if ((this.blocks[at]?.page ?? 0) > lastPage) return null;
    return at < 0 ? null : oneLine(this.parts[at] ?? '') || null;
  }

  /** Blocks added from now on stand on this page (1-based). */
  startPage(page: number): void {
    this.pages.push({ page, start: this.length, end: this.length });
  }

  /** Appends one block; nothing happens when it holds no visible text. Throws `text_limit` and `block_limit` beyond the bounds. */
  add(kind: BlockKind, raw: string, level?: number): void {
    const cleaned = trimBlock(cleanText(raw));
    const text = kind === 'code' ? cleaned : cleaned.trimStart();
    if (text.length === 0) return;
    const start = this.isEmpty ? 0 : this.length + SEPARATOR.length;
    const end = start + text.length;
    if (end > this.bounds.textChars) throw this.tooMuchText();
    if (this.count === this.bounds.blocks) throw this.tooManyBlocks();
    const page = this.pages.at(-1);
    if (page) {
      if (page.start === page.end) page.start = start;
      page.end = end;
    }
    const block: Block = { kind, start, end, page: page?.page ?? null };
    if (kind === 'heading') block.level = Math.min(6, Math.max(1, Math.round(level ?? 1)));
    this.parts.push(text);
    this.blocks.push(block);
    this.length = end;
  }

  /** Appends a table; its caption as a paragraph before it, unless the paragraph that stands there names the table. */
  addTable({ caption = '', header, rows }: TableText): void {
    const count = this.blocks.length;
    this.add('paragraph', caption);
    const named = this.blocks.length > count ? this.short(this.blocks.at(-1)) : this.captionAbove();
    const head = solidLines(header);
    const body = solidLines(rows);
    const before = this.blocks.length;
    this.add('table', [...head, ...body].join('\n'));
    const table = this.blocks[before];
    if (!table) return;
    if (named) table.caption = { start: named.start, end: named.end };
    const headerChars = head.join('\n').length;
    if (headerChars > 0 && headerChars <= HEADER_CHARS && body.length > 0)
      table.header = { start: table.start, end: table.start + headerChars };
  }

  /** "Table 3: Tides", or "The ports are:", right above and on the same page. */
  private captionAbove(): Block | undefined {
    const last = this.short(this.blocks.at(-1));
    if (last?.kind !== 'paragraph' || last.page !== (this.pages.at(-1)?.page ?? null)) return undefined;
    return CAPTION.test(this.parts.at(-1) ?? '') ? last : undefined;
  }

  private short(block: Block | undefined): Block | undefined {
    return block && block.end - block.start <= CAPTION_CHARS ? block : undefined;
  }

  /** Throws `cell_limit` when all tables together hold more cells than the bounds. */
  countCells(more: number): void {
    this.cells += more;
    if (this.cells <= this.bounds.cells) return;
    throw new PermanentFailure(
      'cell_limit',
      `The tables of the document hold more than ${this.bounds.cells} cells: split it into smaller files.`,
    );
  }

  finish(title: string | null): ParsedDocument {
    const named = title === null ? '' : oneLine(title);
    return { title: named || null, text: this.parts.join(SEPARATOR), blocks: this.blocks, pages: this.pages };
  }

  private tooManyBlocks(): PermanentFailure {
    return new PermanentFailure(
      'block_limit',
      `The document holds more than ${this.bounds.blocks} paragraphs: split it into smaller files.`,
    );
  }

  private tooMuchText(): PermanentFailure {
    const millions = (this.bounds.textChars / 1_000_000).toFixed(1);
    return new PermanentFailure(
      'text_limit',
      `The document holds more text than is accepted (${millions} million characters): split it into smaller files.`,
    );
  }
}
