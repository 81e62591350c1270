import type { PdfItem } from './pdf-document.js';

/** A stretch of a line between wide gaps, from `x` to `right`. */
export interface PdfCell {
  text: string;
  x: number;
  right: number;
}

/** One printed line. Positions and sizes in PDF units (1/72 inch), `y` grows upwards. */
export interface PdfLine {
  page: number;
  /** The cells that wide gaps part it into; one cell for running text. */
  cells: PdfCell[];
  text: string;
  x: number;
  right: number;
  y: number;
  size: number;
  font: string;
  /** Set in one font from end to end. */
  pure: boolean;
  /** Upright, left-to-right text: its coordinates can be compared with those of its neighbours. */
  upright: boolean;
}

interface Run {
  str: string;
  x: number;
  right: number;
  y: number;
  size: number;
  font: string;
  upright: boolean;
  rtl: boolean;
}

/** A gap this many times the font size separates cells; word spaces are 0.25, justified ones rarely above 1. */
const CELL_GAP = 1.2;

/** The page's lines in the order in which the PDF draws them. */
export function linesOf(
  page: number,
  view: readonly number[],
  items: readonly (PdfItem | { type: string })[],
): PdfLine[] {
  const lines: PdfLine[] = [];
  const drawn = new Set<string>();
  let runs: Run[] = [];
  const finish = () => {
    const line = lineOf(page, runs);
    if (line) lines.push(line);
    runs = [];
  };
  for (const item of items) {
    if (!('str' in item)) continue;
    const run = runOf(item);
    if (run.str.trim() !== '' && isVisible(run, view) && !isRepeat(run, drawn)) {
      const last = runs.at(-1);
      if (last && startsAnew(last, run)) finish();
      runs.push(run);
    } else if (item.str !== '' && runs.length > 0) {
      runs.at(-1)!.str += ' ';
    }
    if (item.hasEOL) finish();
  }
  finish();
  return lines;
}

/** pdf.js reports most line ends; it misses some jumps, and text that is drawn over other text. */
function startsAnew(last: Run, run: Run): boolean {
  if (!last.upright || !run.upright) return false;
  const size = Math.max(last.size, run.size);
  if (Math.abs(last.y - run.y) > size * 0.8) return true;
  return !last.rtl && !run.rtl && run.x < last.right - 1.5 * size;
}

/** pdf.js turns a ligature of lam and alef around with the rest of the line. After an alef, no word has a second one. */
const LAM_ALEF = /\u0627([\u0622\u0623\u0625])\u0644/g;

function runOf({ str, dir, transform, width, height, fontName }: PdfItem): Run {
  const [a = 0, b = 0, c = 0, d = 0, x = 0, y = 0] = transform;
  const upright = Math.abs(b) < 0.01 * Math.abs(a) && a > 0;
  const size = height || Math.hypot(c, d);
  const rtl = dir === 'rtl';
  return {
    str: rtl ? str.replace(LAM_ALEF, '\u0627\u0644$1') : str,
    x,
    right: x + width,
    y,
    size,
    font: fontName,
    upright,
    rtl,
  };
}

/** Text drawn outside of the page or smaller than a dot is there for machines, not for the reader. */
function isVisible({ x, right, y, size }: Run, [left = 0, bottom = 0, width = 0, top = 0]: readonly number[]): boolean {
  if (size < 0.5) return false;
  if (width <= left || top <= bottom) return true;
  return right >= left - 1 && x <= width + 1 && y >= bottom - size && y <= top + size;
}

/** Poor man's bold draws the same words again, a fraction of a point aside. */
function isRepeat({ str, x, y }: Run, drawn: Set<string>): boolean {
  if (str.length < 2) return false;
  for (const dx of [-1, 0, 1]) {
    for (const dy of [-1, 0, 1]) if (drawn.has(`${Math.round(x) + dx},${Math.round(y) + dy},${str}`)) return true;
  }
  drawn.add(`${Math.round(x)},${Math.round(y)},${str}`);
  return false;
}

function lineOf(page: number, drawn: Run[]): PdfLine | null {
  if (drawn.length === 0) return null;
  const rightToLeft = drawn.filter((run) => run.rtl).length * 2 > drawn.length;
  const upright = drawn.every((run) => run.upright);
  const runs = rightToLeft && upright ? drawn.toSorted((p, q) => q.x - p.x) : drawn;
  const cells = cellsOf(runs, upright, rightToLeft);
  const weights = new Map<string, number>();
  let longest = runs[0]!;
  for (const run of runs) {
    weights.set(run.font, (weights.get(run.font) ?? 0) + run.str.length);
    if (run.str.length > longest.str.length) longest = run;
  }
  return {
    page,
    cells,
    text: cells.map(({ text }) => text).join(' '),
    x: Math.min(...runs.map((run) => run.x)),
    right: Math.max(...runs.map((run) => run.right)),
    y: longest.y,
    size: Math.round(longest.size * 10) / 10,
    font: longest.font,
    pure: weights.size === 1,
    upright: upright && !rightToLeft,
  };
}

function cellsOf(runs: readonly Run[], measurable: boolean, rightToLeft: boolean): PdfCell[] {
  const cells: PdfCell[] = [];
  let previous: Run | null = null;
  for (const run of runs) {
    const gap: number = previous && measurable ? (rightToLeft ? previous.x - run.right : run.x - previous.right) : 0;
    const size = Math.max(run.size, previous?.size ?? 0);
    const last = cells.at(-1);
    if (!last || (gap > CELL_GAP * size && !rightToLeft)) cells.push({ text: run.str, x: run.x, right: run.right });
    else {
      const parted = gap > 0.15 * size || (rightToLeft && run.rtl !== previous?.rtl);
      last.text += parted && !/\s$/.test(last.text) ? ` ${run.str}` : run.str;
      last.x = Math.min(last.x, run.x);
      last.right = Math.max(last.right, run.right);
    }
    previous = run;
  }
  const named = cells.map((cell) => ({ ...cell, text: cell.text.replace(/\s+/g, ' ').trim() }));
  return joinFigures(named.filter(({ text }) => text !== ''));
}

const YEAR = /^(?:19|20)\d\d$/;
const BULLET = /^[•●▪■◦‣∙·\uf0b7\uf0a7\u25cf\u25aa–—-]$/u;

/**
 * Accounts set the currency sign and the closing parenthesis into columns of their own ("$ | 1,234 | )", or "1,234 $ | 98"),
 * lists their bullets.
 */
function joinFigures(cells: readonly PdfCell[]): PdfCell[] {
  const joined: PdfCell[] = [];
  for (const cell of cells) {
    const last = joined.at(-1);
    const sign = last && /^(.*\S)\s+([$€£¥]\(?)$/.exec(last.text);
    const closes = /^[)%]+$/.test(cell.text) && last && !YEAR.test(last.text);
    if (last && (closes || /^[$€£¥(]{1,2}$/.test(last.text))) extend(last, cell, '');
    else if (last && joined.length === 1 && BULLET.test(last.text)) extend(last, cell, ' ');
    else if (last && sign && /^[\d(—–-]/.test(cell.text)) {
      last.text = sign[1]!;
      joined.push({ ...cell, text: sign[2]! + cell.text });
    } else joined.push({ ...cell });
  }
  return joined;
}

function extend(cell: PdfCell, { text, right }: PdfCell, between: string): void {
  cell.text += between + text;
  cell.right = Math.max(cell.right, right);
}
