import { decodeText } from './decode.js';
import { asUnreadable, emptyDocument, nestingTooDeep, type Parser } from './parsed.js';
import { rowLine } from './table-rows.js';
import { oneLine, TextBuilder } from './text-builder.js';

type Json = string | boolean | null | Json[] | { [key: string]: Json };

/** Objects down to here have headings of their own; what is deeper is told by the path of its keys. */
const HEADINGS = 4;
const WIDEST_TABLE = 40;

/**
 * JSON, and one JSON value a line, as text that reads: `key: value`, objects under a heading of their path, arrays of like
 * objects as tables, other objects in arrays as records. Numbers keep the digits they were written with.
 */
export const jsonParser: Parser = {
  contentType: 'application/json',
  async parse(bytes, bounds) {
    const builder = new TextBuilder(bounds);
    try {
      const text = decodeText(bytes).replace(/^\ufeff/, '');
      if (text.length > bounds.textChars) builder.add('paragraph', text);
      const value = parse(text);
      new JsonReader(builder, bounds.depth).read(value);
      if (builder.isEmpty) throw emptyDocument();
      return builder.finish(titleOf(value));
    } catch (error) {
      throw asUnreadable(error, 'JSON document');
    }
  },
};

function parse(text: string): Json {
  const lines = text.trim().split(/\r?\n/);
  try {
    return JSON.parse(withNumbersAsWritten(text)) as Json;
  } catch (error) {
    if (lines.length < 2) throw error;
    return lines.filter((line) => line.trim() !== '').map((line) => JSON.parse(withNumbersAsWritten(line)) as Json);
  }
}

const STRING_OR_NUMBER = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/gs;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]?\d+)?$/i;

/** Numbers become strings: an id of 19 digits does not fit into a double, and 1.50 is not 1.5 to whoever wrote it. */
const withNumbersAsWritten = (text: string): string =>
  text.replace(STRING_OR_NUMBER, (token) => (NUMBER.test(token) ? `"${token}"` : token));

const titleOf = (value: Json): string | null => {
  const title = isObject(value) ? cellOf(value, 'title') || cellOf(value, 'name') : '';
  return title.slice(0, 300) || null;
};

const isObject = (value: Json | undefined): value is { [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isScalar = (value: Json | undefined): boolean => typeof value !== 'object' || value === null;

const isFlat = (value: Json): boolean =>
  isScalar(value) || (Array.isArray(value) && value.every((item) => isScalar(item)));

/** Own keys only: a column may be called "constructor". */
const cellOf = (item: Json, column: string): string =>
  isObject(item) && Object.hasOwn(item, column) ? written(item[column]) : '';

const written = (value: Json | undefined): string =>
  value === null || value === undefined ? '' : oneLine(String(value));

class JsonReader {
  constructor(
    private readonly builder: TextBuilder,
    private readonly depth: number,
  ) {}

  /** Headings go down to `HEADINGS` only, and so does this recursion. */
  read(value: Json, path: readonly string[] = []): void {
    if (path.length > 0) this.builder.add('heading', path.join(' › '), path.length);
    if (Array.isArray(value)) this.readArray(value);
    else if (isObject(value)) this.readObject(value, path);
    else this.builder.add('paragraph', written(value));
  }

  private readObject(value: { [key: string]: Json }, path: readonly string[]): void {
    const lines: string[] = [];
    const deeper: [string, Json][] = [];
    for (const [key, part] of Object.entries(value)) {
      if (path.length < HEADINGS && !isFlat(part)) deeper.push([key, part]);
      else for (const line of this.lines(part, key)) lines.push(line);
    }
    this.builder.add('paragraph', lines.join('\n'));
    for (const [key, part] of deeper) this.read(part, [...path, key]);
  }

  private readArray(items: Json[]): void {
    const columns = columnsOf(items);
    if (columns) {
      this.builder.countCells(columns.length * items.length);
      const rows = items.map((item) => rowLine(columns.map((column) => cellOf(item, column))));
      return this.builder.addTable({ header: [rowLine(columns.map(oneLine))], rows });
    }
    if (items.every((item) => isScalar(item))) {
      return this.builder.add('list', items.map((item) => `- ${written(item)}`).join('\n'));
    }
    for (const item of items) this.builder.add('paragraph', this.lines(item, '').join('\n'));
  }

  /** A value as lines of `path.of.keys: value`. */
  private lines(value: Json, name: string): string[] {
    const lines: string[] = [];
    const waiting: { value: Json; path: string; depth: number }[] = [{ value, path: oneLine(name), depth: 0 }];
    for (let at = waiting.pop(); at; at = waiting.pop()) {
      const { value: part, path, depth } = at;
      if (depth > this.depth) throw nestingTooDeep();
      const under = (key: string) => (path === '' ? oneLine(key) : `${path}.${oneLine(key)}`);
      if (isObject(part)) {
        const entries = Object.entries(part).toReversed();
        for (const [key, inner] of entries) waiting.push({ value: inner, path: under(key), depth: depth + 1 });
      } else if (Array.isArray(part) && part.some((item) => !isScalar(item))) {
        const numbered = part.map((inner, index) => ({ value: inner, path: under(`${index + 1}`), depth: depth + 1 }));
        for (const inner of numbered.toReversed()) waiting.push(inner);
      } else {
        const text = Array.isArray(part) ? part.map(written).join(', ') : written(part);
        if (text !== '') lines.push(path === '' ? text : `${path}: ${text}`);
      }
    }
    return lines;
  }
}

/** The keys of objects that are rows of one table: two or more, without anything nested, mostly with the same keys. */
function columnsOf(items: readonly Json[]): string[] | null {
  if (items.length < 2) return null;
  const columns = new Set<string>();
  let cells = 0;
  for (const item of items) {
    if (!isObject(item)) return null;
    for (const [key, value] of Object.entries(item)) {
      if (!isScalar(value)) return null;
      columns.add(key);
      cells += 1;
    }
    if (columns.size > WIDEST_TABLE) return null;
  }
  return columns.size > 1 && cells >= 0.6 * columns.size * items.length ? [...columns] : null;
}
