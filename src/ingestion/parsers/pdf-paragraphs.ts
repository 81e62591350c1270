import { headingLevel, normalised, type PdfStyle } from './pdf-headings.js';
import type { PdfLine } from './pdf-lines.js';
import { alignedRows } from './pdf-tables.js';
import { joinLines, type Vocabulary } from './pdf-words.js';
import type { BlockKind } from './parsed.js';

export interface PdfBlock {
  kind: BlockKind;
  level?: number;
  text: string;
  /** Of a table: its cells, instead of the text. */
  rows?: string[][];
}

/** Labels in a row within a table. */
const LABELS = 3;

/** What stands above columns of figures, and would else pass for a title. */
const PERIOD = /\d|\b(?:ended|ending|as of|months|years?|quarters?|millions|thousands|percent|change)\b|%/i;

const BULLET = /^(?:[•●▪■◦‣∙·*–—-]|[\u2022\uf0b7\uf0a7\u25cf\u25aa]|\(?(?:\d{1,2}|[a-z]|[ivx]{1,4})[.)])\s+(?=\S)/iu;

/** Rejoins the lines of one page into blocks. `words` are the document's words, by which broken words are healed. */
export function blocksOf(lines: readonly PdfLine[], style: PdfStyle, words: Vocabulary): PdfBlock[] {
  const blocks: PdfBlock[] = [];
  for (let at = 0; at < lines.length;) {
    const line = lines[at]!;
    const next = lines[at + 1];
    const table = tableEnd(lines, at, style);
    if (table > at) {
      blocks.push({ kind: 'table', text: '', rows: alignedRows(lines.slice(at, table)) });
      at = table;
      continue;
    }
    const marked = markedHeading(lines, at, style);
    if (marked) {
      blocks.push({ kind: 'heading', level: marked.level, text: joinLines(lines.slice(at, marked.end), words) });
      at = marked.end;
      continue;
    }
    const alone = (!lines[at - 1] || isApart(lines[at - 1]!, line, style)) && (!next || isApart(line, next, style));
    const level = headingLevel(line, style, alone);
    if (level > 0) {
      const end = headingEnd(lines, at, level, style);
      blocks.push({ kind: 'heading', level, text: joinLines(lines.slice(at, end), words) });
      at = end;
    } else {
      const end = paragraphEnd(lines, at, style);
      blocks.push(paragraph(lines.slice(at, end), words));
      at = end;
    }
  }
  return joinLists(blocks);
}

const isRow = (line: PdfLine): boolean => line.upright && line.cells.length > 1;

const isRowish = (line: PdfLine | undefined): boolean => line !== undefined && isRow(line);

/**
 * Where the table ends that begins at `from`, or `from` when none does: at least two rows, or one of three cells. It begins
 * with what stands right above its figures ("Year ended May 31,"), and goes on through a few labels between its rows
 * ("ASSETS", "Current assets:").
 */
function tableEnd(lines: readonly PdfLine[], from: number, style: PdfStyle): number {
  const first = firstRow(lines, from, style);
  const row = lines[first];
  if (!row || headingLevel(row, style, false) > 0) return from;
  if (row.cells.length < 3 && !isRowish(lines[first + 1])) return from;
  let end = first + 1;
  let labels = 0;
  for (let at = end; at < lines.length && labels <= LABELS; at += 1) {
    const line = lines[at]!;
    if (isRow(line)) {
      end = at + 1;
      labels = 0;
    } else {
      const above = lines[at - 1]!;
      if (line.text.length >= 60 || !line.upright) break;
      // A heading over one column breaks into lines of its own, which may be drawn before or after the others.
      if (isOver(line, row) && Math.abs(above.y - line.y) <= 4 * line.size) continue;
      if (!near(above, line, 2.5)) break;
      labels += 1;
    }
  }
  return end;
}

/** Whether a line stands over the figures of a row, and not over its label. */
const isOver = (line: PdfLine, row: PdfLine): boolean => line.x > row.cells[1]!.x - 4 * line.size;

/** The first row at `from` or below a few short lines that stand above its figures; -1 when there is none. */
function firstRow(lines: readonly PdfLine[], from: number, style: PdfStyle): number {
  for (let at = from; at < lines.length && at <= from + LABELS; at += 1) {
    const line = lines[at]!;
    if (isRow(line)) return lines.slice(from, at).every((label) => isOver(label, line)) ? at : -1;
    const isTitle = !PERIOD.test(line.text) && headingLevel(line, style, true) > 0;
    const isLabel = line.upright && line.text.length < 60 && line.size <= style.bodySize * 1.05;
    if (isTitle || !isLabel || /[.;]$/.test(line.text) || !lines[at + 1] || !near(line, lines[at + 1]!, 2.5)) return -1;
  }
  return -1;
}

/** A title that a bookmark names and that runs over two or three lines. One on a single line is for `headingLevel`. */
function markedHeading(lines: readonly PdfLine[], from: number, { outline }: PdfStyle) {
  if (outline.size === 0) return null;
  for (let end = Math.min(lines.length, from + 3); end > from + 1; end -= 1) {
    const level = outline.get(
      normalised(
        lines
          .slice(from, end)
          .map(({ text }) => text)
          .join(' '),
      ),
    );
    if (level !== undefined) return { level, end };
  }
  return null;
}

/** A title that runs over two or three lines of the same size is one heading. */
function headingEnd(lines: readonly PdfLine[], from: number, level: number, style: PdfStyle): number {
  let end = from + 1;
  while (end < lines.length && end < from + 3) {
    const last = lines[end - 1]!;
    const line = lines[end]!;
    if (line.size !== last.size || line.font !== last.font || !near(last, line, 1.6)) break;
    if (line.size < style.bodySize * 1.12 || headingLevel(line, style, true) !== level) break;
    end += 1;
  }
  return end;
}

function paragraphEnd(lines: readonly PdfLine[], from: number, style: PdfStyle): number {
  let end = from + 1;
  while (end < lines.length) {
    const last = lines[end - 1]!;
    const line = lines[end]!;
    if (isApart(last, line, style) || isRow(line) || BULLET.test(line.text) || endsShort(last, line)) break;
    if (headingLevel(line, style, false) > 0) break;
    end += 1;
  }
  return end;
}

/** White space or a change of size parts the two lines. Lines that cannot be measured run on. */
function isApart(above: PdfLine, below: PdfLine, style: PdfStyle): boolean {
  if (!above.upright || !below.upright) return above.upright !== below.upright;
  if (Math.abs(above.size - below.size) > 0.12 * Math.max(above.size, below.size)) return true;
  if (
    above.pure &&
    below.pure &&
    above.font !== below.font &&
    (above.font !== style.bodyFont) !== (below.font !== style.bodyFont)
  ) {
    return /[.!?:]$/.test(above.text) || above.text.length < 60;
  }
  return !near(above, below, 1.55);
}

/** The baselines are at most `factor` font sizes apart, downwards; a jump upwards is a new column. */
function near(above: PdfLine, below: PdfLine, factor: number): boolean {
  const drop = above.y - below.y;
  return drop > -1 && drop <= factor * Math.max(above.size, below.size);
}

/** A sentence that ends well before the right edge ends its paragraph, when the next line starts one. */
function endsShort(above: PdfLine, below: PdfLine): boolean {
  if (!/[.!?:]["”')]?$/.test(above.text) || !/^["“'(]?\p{Lu}/u.test(below.text)) return false;
  return above.right < below.right - 0.15 * (below.right - below.x) || below.x > above.x + above.size;
}

function paragraph(lines: readonly PdfLine[], words: Vocabulary): PdfBlock {
  const text = joinLines(lines, words);
  const bullet = BULLET.exec(text)?.[0];
  if (!bullet) return { kind: 'paragraph', text };
  const mark = /[\p{L}\d]/u.test(bullet) ? bullet.trim() : '-';
  return { kind: 'list', text: `${mark} ${text.slice(bullet.length)}` };
}

function joinLists(blocks: readonly PdfBlock[]): PdfBlock[] {
  const joined: PdfBlock[] = [];
  for (const block of blocks) {
    const last = joined.at(-1);
    if (block.kind === 'list' && last?.kind === 'list') last.text += `\n${block.text}`;
    else joined.push({ ...block });
  }
  return joined;
}
