import type { PdfCell, PdfLine } from './pdf-lines.js';
import { hasFigure } from './table-rows.js';

interface Column {
  x: number;
  right: number;
}

interface Placed {
  cells: string[];
  /** It has a place for each column. */
  aligned: boolean;
  /** One of its cells stands over several columns. */
  spanning: boolean;
}

/**
 * The cells of a table's lines, each in its column: where a line has fewer cells than the widest one, the places between
 * stay empty. A line whose cells do not fit the columns is left as it is, and so is one that is a single label at the left.
 * Column names that are broken over several lines are made whole.
 */
export function alignedRows(lines: readonly PdfLine[]): string[][] {
  const columns = columnsOf(lines);
  if (columns.length < 3) return lines.map(({ cells }) => cells.map(({ text }) => text));
  const rows = lines.map(({ cells }) => placed(cells, columns));
  const body = rows.findIndex(({ cells }) => hasFigure(cells));
  const head = rows.slice(0, Math.max(0, body)).findLastIndex(({ aligned }) => aligned) + 1;
  return [...joinedNames(rows.slice(0, head)), ...rows.slice(head)].map(({ cells }) => cells);
}

/** Lines of a header as one row, but for those that span columns. */
function joinedNames(head: readonly Placed[]): Placed[] {
  const names = head.filter(({ aligned, spanning }) => aligned && !spanning);
  const [first, ...others] = names;
  if (!first || others.length === 0) return [...head];
  const whole = first.cells.map((cell, at) =>
    [cell, ...others.map(({ cells }) => cells[at]!)].filter(Boolean).join(' '),
  );
  return [...head.filter((row) => !names.includes(row)), { ...first, cells: whole }];
}

/** As wide as the lines with the most cells make them. Empty when these lines do not agree among themselves. */
function columnsOf(lines: readonly PdfLine[]): Column[] {
  const most = Math.max(...lines.map(({ cells }) => cells.length));
  const columns: Column[] = [];
  for (const { cells } of lines) {
    if (cells.length !== most) continue;
    for (const [at, { x, right }] of cells.entries()) {
      const column = (columns[at] ??= { x, right });
      column.x = Math.min(column.x, x);
      column.right = Math.max(column.right, right);
    }
  }
  const parted = columns.every((column, at) => at === 0 || columns[at - 1]!.right <= column.x);
  return parted ? columns : [];
}

function placed(cells: readonly PdfCell[], columns: readonly Column[]): Placed {
  const places = cells.map((cell) => nearest(cell, columns));
  const spanning = cells.some(
    ({ x, right }) => columns.filter((column) => x < column.right && right > column.x).length > 1,
  );
  const crowded = places.some((place, at) => at > 0 && place <= places[at - 1]!);
  if (crowded || (places.length === 1 && places[0] === 0))
    return { cells: cells.map(({ text }) => text), aligned: false, spanning };
  const row = columns.map(() => '');
  for (const [at, place] of places.entries()) row[place] = cells[at]!.text;
  return { cells: row, aligned: true, spanning };
}

/** The column that a cell shares most width with, or else stands closest to. */
function nearest({ x, right }: PdfCell, columns: readonly Column[]): number {
  let best = 0;
  let closest = Infinity;
  for (const [at, column] of columns.entries()) {
    const apart = Math.max(column.x - right, x - column.right);
    if (apart < closest) {
      closest = apart;
      best = at;
    }
  }
  return best;
}
