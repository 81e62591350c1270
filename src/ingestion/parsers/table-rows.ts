/** A table as lines, one for each row: `a | b | c`. */
export interface TableText {
  caption?: string;
  header: string[];
  rows: string[];
}

/** One row as a line: `a | b | c`; empty when every cell is. */
export const rowLine = (cells: readonly string[]): string =>
  cells.every((cell) => cell === '') ? '' : cells.join(' | ').trim();

type Rows = readonly (readonly string[])[];

const HEADER_CELL_CHARS = 80;
const HEADER_ROWS = 3;
const FIGURE = /^[\s\d.,:/%()+\-–—$€£¥]+$/;

/** A number, an amount or a date; a year alone names a column as often as it fills one. */
const isFigure = (cell: string): boolean => /\d/.test(cell) && FIGURE.test(cell) && !/^(?:19|20)\d\d$/.test(cell);

export const hasFigure = (row: readonly string[]): boolean => row.some(isFigure);

/** A row of one cell is a label for those below it. */
const isLabel = (row: readonly string[]): boolean => row.filter((cell) => cell !== '').length < 2;

/**
 * How many rows at the top name the columns, in a table that does not say: up to three without a figure, when all below but
 * labels have one; or the first, when it reads like names (see `seemsHeader`).
 */
function headerRows(rows: Rows): number {
  const first = rows.slice(0, 2 * HEADER_ROWS).findIndex(hasFigure);
  const heads = rows.slice(0, Math.max(0, first)).findLastIndex((row) => !isLabel(row)) + 1;
  const below = rows.slice(first, first + 20).filter((row) => !isLabel(row));
  if (heads > 0 && heads <= HEADER_ROWS && below.slice(0, 5).every(hasFigure)) return heads;
  return seemsHeader(rows[0] ?? [], rows.slice(1, 3)) ? 1 : 0;
}

/** Short words in every cell (but for the corner), and below it more than one row, or one with a digit or a gap. */
export function seemsHeader(first: readonly string[], below: Rows): boolean {
  if (first.length < 2 || below.length === 0) return false;
  const named = first[0] === '' ? first.slice(1) : first;
  if (named.some((cell) => cell === '' || cell.length > HEADER_CELL_CHARS || isFigure(cell))) return false;
  return below.length > 1 || below[0]!.some((cell) => cell === '' || /\d/.test(cell));
}

/** Lines of a table whose first `heads` rows are its header; where none is marked, the first rows may read like one. */
export function tableText(rows: Rows, heads = headerRows(rows)): TableText {
  return { header: rows.slice(0, heads).map(rowLine), rows: rows.slice(heads).map(rowLine) };
}
