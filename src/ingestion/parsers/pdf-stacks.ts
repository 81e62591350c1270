import type { PdfLine } from './pdf-lines.js';

/** How tall, in font sizes, the head of a table may be that is drawn column by column. */
const TALLEST = 5;
const LONGEST = 90;

/**
 * The lines of a page with the heads of tables put in order: writers draw them cell by cell, each from top to bottom, and
 * then jump up again to the next. Lines of one height become one line; whole columns of text, which are taller, stay.
 */
export function unstacked(lines: readonly PdfLine[]): PdfLine[] {
  const ordered: PdfLine[] = [];
  for (let at = 0; at < lines.length;) {
    const end = stackEnd(lines, at);
    if (end > at) ordered.push(...byHeight(lines.slice(at, end)));
    else ordered.push(lines[at]!);
    at = Math.max(end, at + 1);
  }
  return ordered;
}

/** Where a run of short lines ends that begins at `from` and jumps up, to the right; `from` when it does not jump. */
function stackEnd(lines: readonly PdfLine[], from: number): number {
  let top = -Infinity;
  let bottom = Infinity;
  let jumped = from;
  for (let at = from; at < lines.length; at += 1) {
    const line = lines[at]!;
    top = Math.max(top, line.y);
    bottom = Math.min(bottom, line.y);
    if (!line.upright || line.text.length > LONGEST || top - bottom > TALLEST * line.size) break;
    const last = at > from ? lines[at - 1]! : null;
    if (last && line.y > last.y + 0.5 * line.size && line.x > last.x) jumped = at + 1;
    // What follows the last jump on its way down belongs to the same cell.
    else if (last && jumped === at && line.y < last.y - 0.5 * line.size && line.x < last.right) jumped = at + 1;
  }
  return jumped;
}

function byHeight(lines: readonly PdfLine[]): PdfLine[] {
  const rows: PdfLine[] = [];
  for (const line of lines.toSorted((a, b) => b.y - a.y || a.x - b.x)) {
    const row = rows.findLast((above) => Math.abs(above.y - line.y) < 0.35 * line.size && isFree(above, line));
    if (row) rows[rows.indexOf(row)] = joined(row, line);
    else rows.push(line);
  }
  return rows;
}

const isFree = (row: PdfLine, line: PdfLine): boolean =>
  row.cells.every((cell) => line.cells.every(({ x, right }) => x > cell.right || right < cell.x));

function joined(row: PdfLine, line: PdfLine): PdfLine {
  const cells = [...row.cells, ...line.cells].toSorted((a, b) => a.x - b.x);
  return {
    ...row,
    cells,
    text: cells.map(({ text }) => text).join(' '),
    x: Math.min(row.x, line.x),
    right: Math.max(row.right, line.right),
    pure: row.pure && line.pure && row.font === line.font,
  };
}
