import type { PdfLine } from './pdf-lines.js';
import type { PdfOutlineNode } from './pdf-document.js';

/** What is usual in this document, against which a heading stands out. */
export interface PdfStyle {
  bodySize: number;
  bodyFont: string;
  /** Sizes of heading lines, largest first: their order is the level. */
  headingSizes: number[];
  /** Level by normalised title, from the document's bookmarks. */
  outline: Map<string, number>;
}

const LONGEST_HEADING = 120;
const OUTLINE_NODES = 5_000;
const USUAL_SHARE = 0.2;
const BULLET_MARK = /^[•●▪■◦‣∙·*\uf0b7\uf0a7\u25cf\u25aa]\s/u;
export const NUMBERED =
  /^(?:(?:item|part|chapter|section|article|appendix|annex|schedule|exhibit|note)\s+(?:\d+[a-z]?|[ivx]+|[a-z])\b[.:)—–-]?|\d+(?:\.\d+){0,4}\.?|[ivx]+\.|[a-z]\.)\s+\p{Lu}/iu;

export const normalised = (text: string): string =>
  text
    .replace(/[\s.·…]+/g, ' ')
    .trim()
    .toLowerCase();

export function styleOf(lines: readonly PdfLine[], outline: PdfOutlineNode[] | null): PdfStyle {
  const bodySize = largestUsual(lines);
  const body = lines.filter((line) => Math.abs(line.size - bodySize) < 0.6);
  const style: PdfStyle = {
    bodySize,
    bodyFont: heaviest(body, (line) => line.font) ?? '',
    headingSizes: [],
    outline: titlesOf(outline),
  };
  const sizes = new Set<number>();
  for (const line of lines) if (isLarge(line, style) && looksLikeTitle(line.text)) sizes.add(Math.round(line.size));
  style.headingSizes = [...sizes].sort((p, q) => q - p);
  return style;
}

function weightsOf<T>(lines: readonly PdfLine[], valueOf: (line: PdfLine) => T): [T, number][] {
  const weights = new Map<T, number>();
  for (const line of lines) weights.set(valueOf(line), (weights.get(valueOf(line)) ?? 0) + line.text.length);
  return [...weights].sort(([, p], [, q]) => q - p);
}

/** The value that most characters are set in. */
const heaviest = <T>(lines: readonly PdfLine[], valueOf: (line: PdfLine) => T): T | undefined =>
  weightsOf(lines, valueOf)[0]?.[0];

/**
 * The size of running text: the one that most is set in, or a larger one that a fifth is set in. A report may well hold
 * more small print and tables than words.
 */
function largestUsual(lines: readonly PdfLine[]): number {
  const weights = weightsOf(lines, (line) => line.size);
  const all = weights.reduce((sum, [, weight]) => sum + weight, 0);
  const usual = weights.filter(([, weight], at) => at === 0 || weight > all * USUAL_SHARE);
  return Math.max(0, ...usual.map(([size]) => size));
}

function titlesOf(outline: PdfOutlineNode[] | null): Map<string, number> {
  const titles = new Map<string, number>();
  const waiting = (outline ?? []).map((node) => ({ node, level: 1 }));
  for (let at = 0; at < waiting.length && at < OUTLINE_NODES; at += 1) {
    const { node, level } = waiting[at]!;
    const title = normalised(node.title);
    if (title.length > 2 && !titles.has(title)) titles.set(title, Math.min(level, 6));
    if (level < 12) for (const item of node.items) waiting.push({ node: item, level: level + 1 });
  }
  return titles;
}

/**
 * The level (1-6) of a line that is a heading, or 0. Sure signs first: a bookmark of that name, then a larger size. A
 * line in the body's size is a heading only when it is set apart in another font and stands alone like a title.
 * @param alone nothing but space, or another heading, stands above and below within the paragraph
 */
export function headingLevel(line: PdfLine, style: PdfStyle, alone: boolean): number {
  const { text } = line;
  if (text.length > LONGEST_HEADING || line.cells.length > 2 || BULLET_MARK.test(text)) return 0;
  const marked = style.outline.get(normalised(text));
  if (marked !== undefined && !/\d$/.test(text.replace(/^.*\s/, ''))) return marked;
  if (!looksLikeTitle(text)) return 0;
  if (isLarge(line, style)) return Math.min(5, 1 + style.headingSizes.indexOf(Math.round(line.size)));
  if (!alone || line.cells.length > (NUMBERED.test(text) ? 2 : 1)) return 0;
  const below = Math.min(6, style.headingSizes.length + 1);
  const apart = line.pure && line.font !== style.bodyFont && line.size >= style.bodySize * 0.95;
  if (apart && (NUMBERED.test(text) || (/^\p{Lu}/u.test(text) && /\p{L}{3}/u.test(text)))) return below;
  return NUMBERED.test(text) && isShortTitle(text) ? below : 0;
}

const isLarge = (line: PdfLine, style: PdfStyle): boolean =>
  line.size >= style.bodySize * 1.12 && line.size >= style.bodySize + 0.8;

/** Letters, no sentence's end, and not the dotted line of a table of contents. */
function looksLikeTitle(text: string): boolean {
  if (text.length > LONGEST_HEADING || !/\p{L}{2}/u.test(text)) return false;
  return !/[.;,:]$/.test(text.replace(/^(?:item|part|note)\s+\w+\.$/i, '')) && !/\.{4,}|(?:\s\.){3,}/.test(text);
}

/** Most of its words are capitalised: "2.1 Scope of Work", not "2 of the members voted". */
function isShortTitle(text: string): boolean {
  const words = text.match(/\p{L}{4,}/gu) ?? [];
  return (
    words.length <= 12 &&
    words.filter((word) => /^\p{Lu}/u.test(word)).length * 2 >= words.length &&
    !/\s\d+$/.test(text)
  );
}
