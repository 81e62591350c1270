/** A merged cell's text is repeated over its rows and columns up to this length: names are, paragraphs are not. */
const REPEATED_CHARS = 200;

/**
 * Lays out cells that span rows and columns: the text of a merged cell stands in each place that it covers, so that every
 * row can be read by itself. A row of one cell across the table stays one cell.
 */
export class TableGrid {
  readonly rows: string[][] = [];
  private row: string[] = [];
  private added = 0;
  /** What cells of rows above still cover, by column. */
  private covered = new Map<number, { text: string; rows: number }>();

  /** @param count is told of each row's cells, before they are laid out */
  constructor(private readonly count: (cells: number) => void) {}

  /** The next cell of the row that is being laid out. */
  add(text: string, columns = 1, rows = 1): void {
    this.count(columns);
    this.fill();
    const repeated = text.length <= REPEATED_CHARS ? text : '';
    for (let column = 0; column < columns; column += 1) {
      if (rows > 1) this.covered.set(this.row.length, { text: repeated, rows });
      this.row.push(column === 0 ? text : repeated);
    }
    this.added += 1;
  }

  /** Ends the row; @returns its cells. */
  end(): string[] {
    this.fill();
    const across = this.added === 1 && this.row.every((cell) => cell === this.row[0]);
    const row = across ? this.row.slice(0, 1) : this.row;
    for (const [column, above] of this.covered) {
      above.rows -= 1;
      if (above.rows <= 0) this.covered.delete(column);
    }
    this.rows.push(row);
    this.row = [];
    this.added = 0;
    return row;
  }

  /** Places that the cells above take, up to the next free one. */
  private fill(): void {
    for (let above = this.covered.get(this.row.length); above; above = this.covered.get(this.row.length)) {
      this.row.push(above.text);
      this.count(1);
    }
  }
}
