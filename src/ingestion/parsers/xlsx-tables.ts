import { hasFigure, seemsHeader, tableText, type TableText } from './table-rows.js';
import type { Merge, Sheet, SheetRow } from './xlsx-cells.js';

const REPEATED_CHARS = 200;
const MOST_SIDES = 16;

/** A part of a sheet as it is read: a table, or a line that stands alone. */
export type SheetPart = { line: string } | { table: TableText };

/**
 * Parts a sheet into tables. Empty rows part them, unless what follows goes on in the same columns without a header of its
 * own; empty columns do only where each side has a header, because many sheets leave a column free between a label and its
 * figure. Rows of one cell are titles and notes.
 * @param count is told of the places that hold no cell: what a merged one covers, and gaps
 */
export function partsOf({ rows, merges }: Sheet, count: (cells: number) => void): SheetPart[] {
  spread(rows, merges, count);
  const parts: SheetPart[] = [];
  for (const band of bandsOf(rows)) {
    for (const side of sideBySide(band.rows)) {
      const [first, ...rest] = readBand(side, count);
      const title = parts.every((part) => 'line' in part) ? parts.at(-1) : undefined;
      // What stands alone at the top of a sheet names the first table on it.
      if (first && 'table' in first && !first.table.caption && title && 'line' in title) {
        first.table.caption = title.line;
        parts.pop();
      }
      if (first) parts.push(first);
      for (const part of rest) parts.push(part);
    }
  }
  return parts;
}

/** The text of a merged cell stands in each place that it covers, where the sheet has a row there. */
function spread(rows: SheetRow[], merges: readonly Merge[], count: (cells: number) => void): void {
  const widest = rows.reduce((most, { cells }) => Math.max(most, cells.at(-1)?.[0] ?? 0), 0);
  const byTop = new Map(rows.map((row, at) => [row.row, at]));
  for (const { top, left, bottom, right } of merges) {
    const first = byTop.get(top);
    const text = rows[first ?? -1]?.cells.find(([column]) => column === left)?.[1];
    if (first === undefined || text === undefined || text.length > REPEATED_CHARS) continue;
    const last = Math.min(right, widest);
    for (let at = first; at < rows.length && rows[at]!.row <= bottom; at += 1) {
      const { row, cells } = rows[at]!;
      // A title across the sheet is one cell, not twenty.
      if (row === top && cells.length === 1) continue;
      const taken = new Set(cells.map(([column]) => column));
      count(last - left + 1);
      for (let column = left; column <= last; column += 1) if (!taken.has(column)) cells.push([column, text]);
      cells.sort(([a], [b]) => a - b);
    }
  }
}

/** Rows without an empty one between them, and the columns that they reach from and to. */
interface Band {
  rows: SheetRow[];
  left: number;
  right: number;
}

const texts = ({ cells }: SheetRow): string[] => cells.map(([, text]) => text);

/** Whether rows have a header, below the lines that may stand above it. */
function startsTable(rows: readonly SheetRow[]): boolean {
  const at = rows.findIndex(({ cells }) => cells.length > 1);
  const [first, ...below] = at < 0 ? [] : rows.slice(at, at + 3).map(texts);
  return first !== undefined && (seemsHeader(first, below) || (!hasFigure(first) && below.some(hasFigure)));
}

function bandsOf(rows: readonly SheetRow[]): Band[] {
  const bands: Band[] = [];
  for (const row of rows) {
    const left = row.cells[0]![0];
    const right = row.cells.at(-1)![0];
    const last = bands.at(-1);
    if (last && last.rows.at(-1)!.row + 1 >= row.row) {
      last.rows.push(row);
      last.left = Math.min(last.left, left);
      last.right = Math.max(last.right, right);
    } else bands.push({ rows: [row], left, right });
  }
  const joined: Band[] = [];
  for (const band of bands) {
    const above = joined.at(-1);
    if (above && goesOn(above, band)) for (const row of band.rows) above.rows.push(row);
    else joined.push(band);
  }
  return joined;
}

/** A band goes on with the table above it: as more of its rows, or as the figures below a header that stands alone. */
function goesOn(above: Band, band: Band): boolean {
  if (band.left < above.left || band.right > above.right || startsTable(band.rows)) return false;
  if (isHeader(above.rows) && hasFigure(texts(band.rows[0]!))) return true;
  return startsTable(above.rows) && !isHeader(band.rows) && band.rows.every(({ cells }) => cells.length > 1);
}

const isHeader = (rows: readonly SheetRow[]): boolean =>
  rows.length <= 3 && rows.some(({ cells }) => cells.length > 1) && !rows.some((row) => hasFigure(texts(row)));

/** The tables that stand beside one another in a band, or the band as it is. */
function sideBySide(band: SheetRow[]): SheetRow[][] {
  const used = [...new Set(band.flatMap(({ cells }) => cells.map(([column]) => column)))].toSorted((a, b) => a - b);
  const ranges: [number, number][] = [];
  for (const column of used) {
    const last = ranges.at(-1);
    if (last && last[1] + 1 >= column) last[1] = column;
    else ranges.push([column, column]);
  }
  if (ranges.length < 2 || ranges.length > MOST_SIDES) return [band];
  const sides = ranges.map(([left, right]) =>
    band
      .map(({ row, cells }) => ({ row, cells: cells.filter(([column]) => column >= left && column <= right) }))
      .filter(({ cells }) => cells.length > 0),
  );
  return sides.every((side) => startsTable(side)) ? sides : [band];
}

function readBand(band: readonly SheetRow[], count: (cells: number) => void): SheetPart[] {
  const wide = band.findIndex(({ cells }) => cells.length > 1);
  // Four rows or more of one cell each are a list that somebody keeps.
  const first = wide >= 0 ? wide : band.length > 3 ? 0 : band.length;
  const parts: SheetPart[] = band.slice(0, first).map(({ cells }) => ({ line: cells[0]![1] }));
  const rest = band.slice(first);
  if (rest.length === 0) return parts;
  const columns = [...new Set(rest.flatMap(({ cells }) => cells.map(([column]) => column)))].toSorted((a, b) => a - b);
  const places = new Map(columns.map((column, at) => [column, at]));
  count(rest.reduce((gaps, { cells }) => gaps + columns.length - cells.length, 0));
  const rows = rest.map(({ cells }) => {
    const row = Array.from({ length: columns.length }, () => '');
    for (const [column, text] of cells) row[places.get(column)!] = text;
    return row;
  });
  const table = tableText(rows);
  const above = parts.at(-1);
  if (above && 'line' in above) {
    parts.pop();
    table.caption = above.line;
  }
  return [...parts, { table }];
}
