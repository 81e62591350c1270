import { TableGrid } from './table-grid.js';
import { tableText, type TableText } from './table-rows.js';
import { oneLine } from './text-builder.js';

// prettier-ignore
const INLINE = new Set([
  'a', 'abbr', 'b', 'code', 'em', 'font', 'i', 'mark', 's', 'small', 'span', 'strong', 'sub', 'sup', 'u',
]);
const CELLS = new Set(['td', 'th']);
const WIDEST = 1_000;

/** Collects a data table from the tags and text inside of it. */
export class HtmlTable {
  private readonly grid: TableGrid;
  private readonly captions: string[] = [];
  private buffer: string[] = [];
  private span = { columns: 1, rows: 1 };
  private inHead = false;
  private inCaption = false;
  private onlyNames = true;
  private heads = 0;

  /** @param count is told of each row's cells, before they become text */
  constructor(count: (cells: number) => void) {
    this.grid = new TableGrid(count);
  }

  text(value: string): void {
    this.buffer.push(value);
  }

  enter(tag: string, attribute: (name: string) => string | null): void {
    if (CELLS.has(tag)) {
      this.buffer = [];
      this.span = { columns: spanOf(attribute('colspan')), rows: spanOf(attribute('rowspan')) };
      if (tag === 'td') this.onlyNames = false;
    } else if (!INLINE.has(tag)) this.buffer.push(' ');
    if (tag === 'thead') this.inHead = true;
    if (tag === 'caption') {
      this.inCaption = true;
      this.buffer = [];
    }
  }

  leave(tag: string): void {
    if (CELLS.has(tag)) this.grid.add(this.take(), this.span.columns, this.span.rows);
    else if (tag === 'tr') this.endRow();
    else if (tag === 'thead') this.inHead = false;
    else if (tag === 'caption' && this.inCaption) {
      this.captions.push(this.take());
      this.inCaption = false;
    } else if (!INLINE.has(tag)) this.buffer.push(' ');
  }

  finish(): TableText {
    return { ...tableText(this.grid.rows, this.heads || undefined), caption: this.captions.join(' ') };
  }

  /** The header is what stands in `thead`, or rows of nothing but `th`; only at the top. */
  private endRow(): void {
    const cells = this.grid.end();
    const isHead = this.inHead || (this.onlyNames && cells.length > 1);
    if (isHead && this.heads === this.grid.rows.length - 1) this.heads += 1;
    this.onlyNames = true;
  }

  private take(): string {
    const text = oneLine(this.buffer.join(''));
    this.buffer = [];
    return text;
  }
}

function spanOf(value: string | null): number {
  const span = Number.parseInt(value ?? '1', 10);
  return span > 1 ? Math.min(span, WIDEST) : 1;
}
