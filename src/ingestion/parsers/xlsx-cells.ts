import { builtInFormat, formatNumber } from './xlsx-formats.js';
import { child, childElements, readXml, type XmlNode } from './xml-tree.js';

/** One row that has cells: `[column, text]`, both row and columns counted from 0, in order, none empty. */
export interface SheetRow {
  row: number;
  cells: [number, string][];
}

/** Rows and columns counted from 0, both ends included. */
export interface Merge {
  top: number;
  left: number;
  bottom: number;
  right: number;
}

export interface Sheet {
  rows: SheetRow[];
  merges: Merge[];
}

/** What the cells of all sheets refer to. */
export interface Book {
  strings: string[];
  /** The number format of each style. */
  formats: string[];
  date1904: boolean;
}

/** The strings of `sharedStrings.xml`, without what is written above them to pronounce them. */
export function readStrings(xml: Buffer | null, maxDepth: number): string[] {
  const strings: string[] = [];
  if (!xml) return strings;
  let parts: string[] | null = null;
  let phonetic = false;
  let inText = false;
  readXml(xml, maxDepth, {
    open(name) {
      if (name === 'si') parts = [];
      else if (name === 'rPh') phonetic = true;
      else if (name === 't') inText = !phonetic;
    },
    close(name) {
      if (name === 'si') strings.push(parts?.join('') ?? '');
      else if (name === 'rPh') phonetic = false;
      else if (name === 't') inText = false;
    },
    text(value) {
      if (inText) parts?.push(value);
    },
  });
  return strings;
}

export function readFormats(styles: XmlNode | null): string[] {
  const own = new Map<number, string>();
  const list = (...path: string[]) => {
    const parent = child(styles ?? undefined, ...path);
    return parent ? childElements(parent) : [];
  };
  for (const { attributes } of list('numFmts')) own.set(Number(attributes['numFmtId']), attributes['formatCode'] ?? '');
  return list('cellXfs').map(({ attributes }) => {
    const id = Number(attributes['numFmtId'] ?? 0);
    return own.get(id) ?? builtInFormat(id);
  });
}

/** @param count is told of each cell that holds something */
export function readSheet(xml: Buffer, maxDepth: number, book: Book, count: (cells: number) => void): Sheet {
  const sheet: Sheet = { rows: [], merges: [] };
  let row = -1;
  let column = -1;
  let cell: Readonly<Record<string, string>> | null = null;
  let value = '';
  let reading = false;
  let phonetic = false;
  readXml(xml, maxDepth, {
    open(name, attributes) {
      if (name === 'row') {
        row = Number(attributes['r'] ?? row + 2) - 1;
        column = -1;
      } else if (name === 'c') {
        cell = attributes;
        value = '';
        const place = placeOf(attributes['r'] ?? '');
        if (place) ({ row, column } = place);
        else column += 1;
      } else if (name === 'rPh') phonetic = true;
      else if (name === 'v' || (name === 't' && cell)) reading = !phonetic;
      else if (name === 'mergeCell') {
        const merge = mergeOf(attributes['ref'] ?? '');
        if (merge) sheet.merges.push(merge);
      }
    },
    close(name) {
      if (name === 'rPh') phonetic = false;
      else if (name === 'v' || name === 't') reading = false;
      else if (name === 'c' && cell) {
        const text = cellText(cell, value, book).trim();
        cell = null;
        if (text === '') return;
        count(1);
        const last = sheet.rows.at(-1);
        if (last?.row === row) last.cells.push([column, text]);
        else sheet.rows.push({ row, cells: [[column, text]] });
      }
    },
    text(part) {
      if (reading) value += part;
    },
  });
  return sheet;
}

function cellText({ t: type = 'n', s: style }: Readonly<Record<string, string>>, value: string, book: Book): string {
  if (type === 's') return book.strings[Number(value)] ?? '';
  if (type === 'b') return value === '1' ? 'TRUE' : 'FALSE';
  if (type !== 'n') return type === 'd' ? value.replace('T', ' ') : value;
  const number = Number(value);
  if (value.trim() === '' || !Number.isFinite(number)) return value;
  return formatNumber(number, book.formats[Number(style ?? 0)] ?? 'General', book.date1904);
}

function placeOf(reference: string): { row: number; column: number } | null {
  const [, letters, digits] = /^\$?([A-Z]{1,3})\$?(\d{1,7})$/.exec(reference) ?? [];
  if (letters === undefined || digits === undefined) return null;
  let column = 0;
  for (const letter of letters) column = column * 26 + letter.charCodeAt(0) - 64;
  return { row: Number(digits) - 1, column: column - 1 };
}

function mergeOf(reference: string): Merge | null {
  const [from = '', to = ''] = reference.split(':');
  const first = placeOf(from);
  const last = placeOf(to);
  return first && last && { top: first.row, left: first.column, bottom: last.row, right: last.column };
}
