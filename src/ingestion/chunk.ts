import type { Passage } from '../knowledge/chunks.js';
import { type ChunkSizes, defaultChunking } from '../knowledge/pipeline.js';
import { quarters, type Reading } from '../platform/models/tokens.js';
import type { Block, ParsedDocument } from './parsers/parsed.js';
import { type Ruler, rulerOf } from './ruler.js';
import { type Span, splitBlock, trimmed } from './split-block.js';
import { stretchesOf } from './stretches.js';

/** Blocks that may share a chunk: one section, one page. The first `headings` blocks are its headings. */
interface Group {
  section: string[];
  page: number | null;
  blocks: Block[];
  headings: number;
}

const SECTION_CHARS = 200;

/**
 * Cuts a parsed document into passages, one after the other as they are asked for. Pure, linear in the text. A chunk never
 * crosses a page or leaves its section, and a heading stands at the beginning of the chunk that follows it.
 */
export function* passagesOf(parsed: ParsedDocument, ruler: Ruler): Generator<Passage> {
  let ordinal = 0;
  let before: Block | undefined;
  for (const group of groupBlocks(parsed)) {
    const { section, page, blocks } = group;
    blocks[0] = continued(parsed.text, before, blocks[0]!);
    before = blocks.at(-1);
    let at = 0;
    for (const { start, end } of packGroup(parsed.text, group, ruler)) {
      while ((blocks[at + 1]?.start ?? Infinity) <= start) at += 1;
      const lead = leadOf(parsed.text, blocks[at], start);
      yield { ordinal: ordinal++, section, page, start, end, lead, text: parsed.text.slice(start, end) };
    }
  }
}

/** All of them at once. */
export function chunk(
  parsed: ParsedDocument,
  sizes: ChunkSizes = defaultChunking,
  reading: Reading = { tokens: quarters, maxTokens: Infinity },
): Passage[] {
  return [...passagesOf(parsed, rulerOf(sizes, reading))];
}

function* groupBlocks({ text, blocks }: ParsedDocument): Generator<Group> {
  const above: { level: number; title: string }[] = [];
  let group: Group | null = null;
  for (const block of blocks) {
    const isHeading = block.kind === 'heading';
    const level = block.level ?? 1;
    // A heading right under a higher one opens no new group: "2 Scope" and "2.1 Terms" introduce the same text.
    const deepens = isHeading && group?.headings === group?.blocks.length && level > (above.at(-1)?.level ?? 0);
    if (group && (block.page !== group.page || (isHeading && !deepens))) {
      yield group;
      group = null;
    }
    if (isHeading) {
      while (above.length > 0 && above.at(-1)!.level >= level) above.pop();
      above.push({ level, title: sectionTitle(text, block) });
    }
    group ??= { section: [], page: block.page, blocks: [], headings: 0 };
    group.blocks.push(block);
    if (isHeading) group.headings += 1;
    if (isHeading || group.blocks.length === 1) group.section = above.map(({ title }) => title);
  }
  if (group) yield group;
}

function sectionTitle(text: string, { start, end }: Block): string {
  const title = text
    .slice(start, Math.min(end, start + 4 * SECTION_CHARS))
    .replace(/\s+/g, ' ')
    .trim();
  return title
    .slice(0, SECTION_CHARS)
    .replace(/[\ud800-\udbff]$/, '')
    .trimEnd();
}

/** A table that a page begins with and that has no header goes on with the table before it if it has as many columns. */
function continued(text: string, before: Block | undefined, block: Block): Block {
  if (block.kind !== 'table' || block.header || !before?.header || before.page === block.page) return block;
  const { header, caption } = before;
  if (columns(text, header.end - 1) !== columns(text, block.start)) return block;
  return { ...block, header, ...(caption ? { caption } : {}) };
}

/** How many cells the row has that stands there. */
function columns(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  const row = text.slice(text.lastIndexOf('\n', at) + 1, end < 0 ? undefined : end);
  return row.split('|').length;
}

/** What a passage that begins at `start`, in this block, needs of the table's caption and header: what stands before it. */
function leadOf(text: string, block: Block | undefined, start: number): string | null {
  const before = [block?.caption, block?.header].flatMap((span) =>
    span && span.start < start ? text.slice(span.start, Math.min(span.end, start)).trim() : [],
  );
  return before.length === 0 ? null : before.join('\n');
}

/** A span with its size, which is summed piece by piece: measuring what grows again and again would take for ever. */
interface Sized extends Span {
  size: number;
}

/** What is never parted; its size is counted from the end of the piece before. */
interface Piece extends Sized {
  isHeading: boolean;
  /** It is the first of its block. */
  opens: boolean;
}

function* packGroup(text: string, group: Group, ruler: Ruler): Generator<Span> {
  for (const stretch of stretchesOf(text, piecesOf(text, group, ruler), ruler.target)) {
    yield* withoutCrumb(text, packed(text, stretch, ruler), ruler);
  }
}

/** Greedy from the front: each span takes whole pieces until the next would exceed the target. */
function packed(text: string, stretch: readonly Piece[], ruler: Ruler): Sized[] {
  const spans: (Sized & { onlyHeadings: boolean })[] = [];
  for (const { start, end, size, isHeading } of stretch) {
    const current = spans.at(-1);
    const limit = current?.onlyHeadings ? ruler.max : ruler.target;
    if (current && current.size + size <= limit) {
      current.end = end;
      current.size += size;
      current.onlyHeadings &&= isHeading;
    } else spans.push({ start, end, size: ruler.size(text.slice(start, end)), onlyHeadings: isHeading });
  }
  return spans;
}

function piecesOf(text: string, group: Group, ruler: Ruler): Piece[] {
  const pieces: Piece[] = [];
  let headings = 0;
  for (const [index, block] of group.blocks.entries()) {
    const isHeading = index < group.headings;
    const last = pieces.at(-1);
    const taken = last?.isHeading ? headings + ruler.size(text.slice(last.end, block.start)) : 0;
    let opens = true;
    for (const { start, end } of cutToFit(text, block, ruler, ruler.max - taken)) {
      if (end <= start) continue;
      const size = ruler.size(text.slice(pieces.at(-1)?.end ?? start, end));
      if (isHeading) headings += size;
      pieces.push({ start, end, size, isHeading, opens });
      opens = false;
    }
  }
  return pieces;
}

/**
 * A long block under a heading is cut so that its first piece still fits behind the heading, unless it is code: what can
 * stand in one piece does.
 * @param room what is left behind the headings before it
 */
function cutToFit(text: string, block: Block, ruler: Ruler, room: number): Iterable<Span> {
  const size = ruler.size(text.slice(block.start, block.end));
  if (size <= room || (block.kind === 'code' && size <= ruler.max)) return [trimmed(text, block)];
  return splitBlock(text, block, ruler, room >= ruler.max / 2 ? room : ruler.max);
}

/** A last span of a few words says nothing alone: it joins the one before when both fit together. */
function withoutCrumb(text: string, spans: Sized[], { target, max, size }: Ruler): Span[] {
  const last = spans.at(-1);
  const before = spans.at(-2);
  if (!last || !before || last.size >= target / 4) return spans;
  const joined = before.size + size(text.slice(before.end, last.end));
  return joined > max ? spans : [...spans.slice(0, -2), { start: before.start, end: last.end }];
}
