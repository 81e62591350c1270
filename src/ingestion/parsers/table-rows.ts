/** A table as lines, one for each row: `a | b | c`. */
export interface TableText {
  caption?: string;
  header: string[];
  rows: string[];
}

/** One row as a line: `a | b | c`; empty when every cell is. */
export const rowLine = (cells: readonly string[]): string =>
  cells.every((cell) => cell === '') ? '' : cells.join(' | ').trim();

const HEADER_CELL_CHARS = 80;
const FIGURE = /^[\s\d.,:/%()+\-–—$€£¥]+$/;

/**
 * Whether the first row names the columns, in a table that does not say: short words in every cell (but for the
 * corner), and below it more than one row, or one with a figure or a gap.
 */
export function seemsHeader(first: readonly string[], below: readonly (readonly string[])[]): boolean {
  if (first.length < 2 || below.length === 0) return false;
  const named = first[0] === '' ? first.slice(1) : first;
  if (named.some((cell) => cell === '' || cell.length > HEADER_CELL_CHARS || isFigure(cell))) return false;
  return below.length > 1 || below[0]!.some((cell) => cell === '' || /\d/.test(cell));
}

/** A number, an amount or a date; a year alone names a column as often as it fills one. */
const isFigure = (cell: string): boolean => FIGURE.test(cell) && !/^(?:19|20)\d\d$/.test(cell);

/** Lines of a table whose first `heads` rows are its header; where none is marked, the first row may look like one. */
export function tableText(rows: readonly (readonly string[])[], heads = 0): TableText {
  const count = heads > 0 ? heads : seemsHeader(rows[0] ?? [], rows.slice(1, 3)) ? 1 : 0;
  return { header: rows.slice(0, count).map(rowLine), rows: rows.slice(count).map(rowLine) };
}
