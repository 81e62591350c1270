import { headingLevel, type PdfStyle } from './pdf-headings.js';
import type { PdfLine } from './pdf-lines.js';
import type { BlockKind } from './parsed.js';

export interface PdfBlock {
  kind: BlockKind;
  level?: number;
  text: string;
  /** Of a table: its cells, instead of the text. */
  rows?: string[][];
}

const BULLET = /^(?:[•●▪■◦‣∙·*–—-]|[\u2022\uf0b7\uf0a7\u25cf\u25aa]|\(?(?:\d{1,2}|[a-z]|[ivx]{1,4})[.)])\s+(?=\S)/iu;

/** Rejoins the lines of one page into blocks. `words` are the document's words, by which broken words are healed. */
export function blocksOf(lines: readonly PdfLine[], style: PdfStyle, words: ReadonlySet<string>): PdfBlock[] {
  const blocks: PdfBlock[] = [];
  for (let at = 0; at < lines.length;) {
    const line = lines[at]!;
    const next = lines[at + 1];
    const alone = (!lines[at - 1] || isApart(lines[at - 1]!, line, style)) && (!next || isApart(line, next, style));
    const level = headingLevel(line, style, alone);
    if (level > 0) {
      const end = headingEnd(lines, at, level, style);
      blocks.push({ kind: 'heading', level, text: joinLines(lines.slice(at, end), words) });
      at = end;
    } else if (isRow(line) && (isRowish(next) || isRowish(lines[at - 1]) || line.cells.length > 2)) {
      const end = tableEnd(lines, at);
      blocks.push({ kind: 'table', text: '', rows: lines.slice(at, end).map(({ cells }) => cells) });
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

/** A table goes on through rows, and through a single label between rows ("Assets:"). */
function tableEnd(lines: readonly PdfLine[], from: number): number {
  let end = from + 1;
  while (end < lines.length) {
    if (isRowish(lines[end])) end += 1;
    else if (lines[end]!.text.length < 60 && isRowish(lines[end + 1]) && near(lines[end - 1]!, lines[end]!, 2.5))
      end += 1;
    else break;
  }
  return end;
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

function paragraph(lines: readonly PdfLine[], words: ReadonlySet<string>): PdfBlock {
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

function joinLines(lines: readonly PdfLine[], words: ReadonlySet<string>): string {
  let text = '';
  for (const line of lines) {
    const broken = /(\p{L}{2,})[-\u00ad\u2010]$/u.exec(text);
    const rest = /^\p{Ll}+/u.exec(line.text)?.[0];
    if (broken && rest) {
      // "extrac-" + "tion": one word if the document also writes it so, otherwise a hyphenated one ("long-term").
      const soft = text.endsWith('\u00ad') || words.has((broken[1]! + rest).toLowerCase());
      text = (soft ? text.slice(0, -1) : text) + line.text;
    } else {
      text += (text === '' || isSpaceless(text, line.text) ? '' : ' ') + line.text;
    }
  }
  return text;
}

/** Chinese, Japanese and Thai lines continue without a space. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\u3000-\u303f\uff00-\uffef]/u;

const isSpaceless = (left: string, right: string): boolean =>
  UNSPACED.test(left.slice(-1)) && UNSPACED.test(right[0] ?? '');
