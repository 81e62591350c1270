import type { PdfLine } from './pdf-lines.js';

const EDGE_LINES = 2;
const FEWEST_REPEATS = 4;
const SHARE_OF_PAGES = 0.3;

/**
 * Drops running headers, footers and page numbers: lines at a page's edge that return, but for their digits, on a good
 * part of the pages. They are no sentence of the document and would stand in the middle of passages. Nothing is dropped
 * from documents of few pages, and never the whole of a page.
 */
export function withoutFurniture(pages: readonly PdfLine[][]): PdfLine[][] {
  const seen = new Map<string, number>();
  for (const lines of pages) {
    for (const pattern of new Set(edges(lines).map((line) => patternOf(line)))) {
      seen.set(pattern, (seen.get(pattern) ?? 0) + 1);
    }
  }
  const needed = Math.max(FEWEST_REPEATS, pages.filter((lines) => lines.length > 0).length * SHARE_OF_PAGES);
  return pages.map((lines) => {
    const dropped = new Set(edges(lines).filter((line) => (seen.get(patternOf(line)) ?? 0) >= needed));
    return dropped.size === lines.length ? lines : lines.filter((line) => !dropped.has(line));
  });
}

const edges = (lines: readonly PdfLine[]): PdfLine[] =>
  lines.length <= 2 * EDGE_LINES ? [...lines] : [...lines.slice(0, EDGE_LINES), ...lines.slice(-EDGE_LINES)];

/** The line with its numbers masked. Rows of figures look alike on many pages and yet are what the page is about. */
function patternOf({ text, cells }: PdfLine): string {
  const masked = text.replace(/\d+/g, '#').slice(0, 120);
  const figures = !/\p{L}/u.test(masked) && (cells.length > 1 || masked.split('#').length > 3);
  return figures ? text : masked;
}
