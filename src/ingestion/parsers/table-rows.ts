import { oneLine } from './text-builder.js';

const CELLS = new Set(['td', 'th']);
const INLINE = new Set([
  'a',
  'abbr',
  'b',
  'code',
  'em',
  'font',
  'i',
  'mark',
  's',
  'small',
  'span',
  'strong',
  'sub',
  'sup',
  'u',
]);

/** One row as a line: `a | b | c`; empty when every cell is. */
export const rowLine = (cells: readonly string[]): string =>
  cells.every((cell) => cell === '') ? '' : cells.join(' | ').trim();

/** Collects a data table from the tags and text inside of it: one line for each row, the header's rows first. */
export class TableRows {
  private readonly head: string[] = [];
  private readonly body: string[] = [];
  private readonly captions: string[] = [];
  private cells: string[] = [];
  private buffer: string[] = [];
  private inHead = false;
  private inCaption = false;

  /** @param count is told of each row's cells, before they become text */
  constructor(private readonly count: (cells: number) => void) {}

  text(value: string): void {
    this.buffer.push(value);
  }

  enter(tag: string): void {
    if (CELLS.has(tag)) this.buffer = [];
    else if (!INLINE.has(tag)) this.buffer.push(' ');
    if (tag === 'thead') this.inHead = true;
    if (tag === 'caption') {
      this.inCaption = true;
      this.buffer = [];
    }
  }

  leave(tag: string): void {
    if (CELLS.has(tag)) {
      this.cells.push(this.take());
    } else if (tag === 'tr') {
      this.count(this.cells.length);
      const line = rowLine(this.cells);
      this.cells = [];
      if (line !== '') (this.inHead ? this.head : this.body).push(line);
    } else if (tag === 'thead') {
      this.inHead = false;
    } else if (tag === 'caption' && this.inCaption) {
      this.captions.push(this.take());
      this.inCaption = false;
    } else if (!INLINE.has(tag)) {
      this.buffer.push(' ');
    }
  }

  finish(): { caption: string; rows: string } {
    return { caption: this.captions.join('\n'), rows: [...this.head, ...this.body].join('\n') };
  }

  private take(): string {
    const text = oneLine(this.buffer.join(''));
    this.buffer = [];
    return text;
  }
}
