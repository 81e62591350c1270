import type { Block } from './parsers/parsed.js';
import type { Ruler } from './ruler.js';

/** `[start, end)` in UTF-16 code units of the stored text. */
export interface Span {
  start: number;
  end: number;
}

// The segmenter is handed windows: its cost for each sentence grows with the string it looks at. Measured on 20 million
// characters: 0.4 s in windows of 4,096, 0.9 s in windows of 16,384.
const WINDOW = 4_096;
const sentences = new Intl.Segmenter('und', { granularity: 'sentence' });

/**
 * Pieces of a block that is too large, in order and without gaps but white space. Tables, lists and code break between
 * lines, everything else between sentences; only what no chunk can hold breaks inside, into pieces of at most `limit`.
 */
export function* splitBlock(text: string, block: Block, ruler: Ruler, limit: number): Generator<Span> {
  const byLine = block.kind === 'table' || block.kind === 'list' || block.kind === 'code';
  const fits = ({ start, end }: Span): boolean => ruler.size(text.slice(start, end)) <= ruler.max;
  for (const unit of byLine ? lines(text, block) : sentencesIn(text, block)) {
    const units = block.kind !== 'list' || fits(unit) ? [unit] : sentencesIn(text, unit);
    for (const piece of units) {
      if (fits(piece)) yield piece;
      else yield* cut(text, piece, ruler, limit);
    }
  }
}

function* lines(text: string, { start, end }: Span): Generator<Span> {
  for (let from = start; from < end;) {
    const at = text.indexOf('\n', from);
    const to = at < 0 || at >= end ? end : at;
    yield* solid(text, from, to);
    from = to + 1;
  }
}

// To the segmenter every line's end is a sentence's. One that only wraps has a long line before it and a small letter
// behind it, and parts no rows of a table.
const wrap = /\n(?<=[^\n|]{40}\n)(?=\p{Ll}[^\n|]*(?:\n|$))/gu;

function* sentencesIn(text: string, { start, end }: Span): Generator<Span> {
  for (let from = start; from < end;) {
    const to = windowEnd(text, from, end);
    const unwrapped = text.slice(from, to).replaceAll(wrap, ' ');
    let next = from;
    for (const { index, segment } of sentences.segment(unwrapped)) {
      // The last one of a window may only be the beginning of a sentence: the next window begins with it.
      if (to < end && index > 0 && index + segment.length === to - from) break;
      next = from + index + segment.length;
      yield* solid(text, from + index, next);
    }
    from = next;
  }
}

/** The end of a window: a line's end when there is one in its second half, else a space, else anywhere. */
function windowEnd(text: string, from: number, end: number): number {
  if (end - from <= WINDOW) return end;
  const window = text.slice(from, from + WINDOW);
  for (const mark of ['\n', '. ', ' ']) {
    const at = window.lastIndexOf(mark);
    if (at > WINDOW / 2) return from + at + mark.length;
  }
  return wholePair(text, from + WINDOW, from);
}

/** Cuts what has no sentence inside: at the last white space or cell border of each stretch, else at the limit. */
function* cut(text: string, { start, end }: Span, ruler: Ruler, limit: number): Generator<Span> {
  let from = start;
  while (from < end) {
    const most = from + ruler.reach(text.slice(from, end), limit);
    if (most >= end) break;
    let to = most;
    const least = (from + most) / 2;
    while (to > least && !/\s/.test(text[to]!)) to -= 1;
    if (to <= least) to = wholePair(text, most, from);
    yield* solid(text, from, to);
    from = to;
  }
  yield* solid(text, from, end);
}

/** Never between the halves of a surrogate pair. */
function wholePair(text: string, at: number, from: number): number {
  const splits = /[\ud800-\udbff]/.test(text[at - 1] ?? '') && /[\udc00-\udfff]/.test(text[at] ?? '');
  return splits && at - 1 > from ? at - 1 : splits ? at + 1 : at;
}

/** The span without white space at its ends; `end <= start` when nothing is left. */
export function trimmed(text: string, { start, end }: Span): Span {
  while (start < end && /\s/.test(text[start]!)) start += 1;
  while (end > start && /\s/.test(text[end - 1]!)) end -= 1;
  return { start, end };
}

function* solid(text: string, start: number, end: number): Generator<Span> {
  const span = trimmed(text, { start, end });
  if (span.start < span.end) yield span;
}
