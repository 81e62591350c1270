import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.js';
import { chunk } from '../../src/ingestion/chunk.js';
import type { Passage } from '../../src/knowledge/chunks.js';
import type { Block, BlockKind, ParsedDocument } from '../../src/ingestion/parsers/parsed.js';
import { TextBuilder } from '../../src/ingestion/parsers/text-builder.js';

type Part = [kind: BlockKind, text: string, level?: number] | { page: number };

function documentOf(...parts: Part[]): ParsedDocument {
  const builder = new TextBuilder(readConfig({}).parser.bounds);
  for (const part of parts) {
    if ('page' in part) builder.startPage(part.page);
    else builder.add(...part);
  }
  return builder.finish(null);
}

const texts = (chunks: Passage[]): string[] => chunks.map(({ text }) => text);

const sentence = 'The quick brown fox jumps over the lazy dog near the river bank. ';

describe('chunk', () => {
  it('joins small neighbours of one section up to the target', () => {
    const parsed = documentOf(['paragraph', 'One.'], ['paragraph', 'Two.'], ['list', '- three\n- four']);
    expect(texts(chunk(parsed))).toEqual(['One.\n\nTwo.\n\n- three\n- four']);
  });

  it('starts a chunk at its heading and names the path of headings above', () => {
    const parsed = documentOf(
      ['heading', 'Guide', 1],
      ['paragraph', 'Intro.'],
      ['heading', 'Install', 2],
      ['paragraph', 'Run it.'],
      ['heading', 'Upgrade', 2],
      ['paragraph', 'Run it again.'],
      ['heading', 'Reference', 1],
      ['paragraph', 'All of it.'],
    );
    expect(chunk(parsed).map(({ section, text }) => [section, text])).toEqual([
      [['Guide'], 'Guide\n\nIntro.'],
      [['Guide', 'Install'], 'Install\n\nRun it.'],
      [['Guide', 'Upgrade'], 'Upgrade\n\nRun it again.'],
      [['Reference'], 'Reference\n\nAll of it.'],
    ]);
  });

  it('keeps a heading without a body together with the deeper heading that follows it', () => {
    const parsed = documentOf(['heading', 'A', 1], ['heading', 'A.1', 2], ['paragraph', 'Body.'], ['heading', 'B', 1]);
    expect(chunk(parsed).map(({ section, text }) => [section, text])).toEqual([
      [['A', 'A.1'], 'A\n\nA.1\n\nBody.'],
      [['B'], 'B'],
    ]);
  });

  it('never crosses a page', () => {
    const parsed = documentOf({ page: 1 }, ['paragraph', 'One.'], { page: 2 }, { page: 3 }, ['paragraph', 'Three.']);
    expect(chunk(parsed).map(({ page, text }) => [page, text])).toEqual([
      [1, 'One.'],
      [3, 'Three.'],
    ]);
  });

  it('splits a long paragraph between sentences', () => {
    const chunks = chunk(documentOf(['paragraph', sentence.repeat(60)]));
    expect(chunks.length).toBeGreaterThan(3);
    for (const { text } of chunks) expect(text).toMatch(/^The .*bank\.$/);
  });

  it('splits a table only between rows', () => {
    const rows = Array.from({ length: 200 }, (_, row) => `row ${row}. Total | ${row * 7} | ${row * 11}`);
    const chunks = chunk(documentOf(['table', rows.join('\n')]));
    expect(chunks.flatMap(({ text }) => text.split('\n'))).toEqual(rows);
  });

  it('keeps the first piece of a long block with its heading', () => {
    const [first] = chunk(documentOf(['heading', 'Scope', 1], ['paragraph', sentence.repeat(60)]));
    expect(first?.text).toMatch(/^Scope\n\nThe quick/);
  });

  it('does not cut a code block that fits into a chunk, nor a row, to keep it with its heading', () => {
    const code = Array.from({ length: 40 }, (_, line) => `call(${line}); // does what it says`).join('\n');
    const row = `port | ${'x'.repeat(1200)}`;
    for (const [kind, body] of [
      ['code', code],
      ['table', `${row}\n${row}`],
    ] as const) {
      const pieces = texts(chunk(documentOf(['heading', 'Long heading '.repeat(12).trim(), 1], [kind, body])));
      expect(pieces.slice(1)).toEqual(kind === 'code' ? [code] : [row, row]);
    }
  });

  it('does not take the end of a wrapped line for the end of a sentence', () => {
    const wrapped = sentence.repeat(60).replaceAll(/(.{60}\S*) /g, '$1\n');
    expect(wrapped.split('\n').length).toBeGreaterThan(40);
    for (const { text } of chunk(documentOf(['paragraph', wrapped]))) expect(text).toMatch(/^The [^]*bank\.$/);
    const rows = Array.from({ length: 60 }, (_, row) => `net income of the year before taxes in millions | ${row}`);
    const found = texts(chunk(documentOf(['paragraph', rows.join('\n')])));
    expect(found.flatMap((text) => text.split('\n'))).toEqual(rows);
  });

  it('cuts what has no sentence inside, and never within a surrogate pair', () => {
    const chunks = chunk(documentOf(['paragraph', `x${'😀'.repeat(3_000)}`]));
    expect(chunks.length).toBeGreaterThan(3);
    for (const { text } of chunks) expect(text).not.toMatch(/^[\udc00-\udfff]|[\ud800-\udbff]$/);
  });

  it('shortens headings in the section path to 200 characters', () => {
    const [only] = chunk(documentOf(['heading', 'Long title '.repeat(40), 1], ['paragraph', 'Body.']));
    expect(only?.section[0]?.length).toBeLessThanOrEqual(200);
  });

  it('makes nothing of an empty document', () => {
    expect(chunk({ title: null, text: '', blocks: [], pages: [] })).toEqual([]);
  });

  it('cuts 20 million characters without a blank line in seconds of computing', { timeout: 60_000 }, () => {
    const parsed = documentOf(['paragraph', sentence.repeat(310_000)]);
    const before = process.cpuUsage();
    expect(chunk(parsed).length).toBeGreaterThan(10_000);
    expect(process.cpuUsage(before).user / 1e6).toBeLessThan(10);
  });

  it('keeps its promises for any document', () => {
    expect.hasAssertions();
    for (let seed = 1; seed <= 100; seed += 1) expectToKeepPromises(randomDocument(seed), seed);
  });
});

/** mulberry32: the same documents on every run and machine. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const words = ['alpha', 'beta.', 'gamma', '文書。', '😀', 'delta?', 'e', '\n', '$1,234', 'ключ', '   ', 'x'.repeat(90)];

function randomDocument(seed: number): ParsedDocument {
  const next = generator(seed);
  const kinds: BlockKind[] = ['heading', 'paragraph', 'paragraph', 'list', 'table', 'code'];
  const builder = new TextBuilder(readConfig({}).parser.bounds);
  const paged = next(2) === 0;
  for (let page = 1; page <= 1 + next(4); page += 1) {
    if (paged) builder.startPage(page);
    for (let block = next(12); block > 0; block -= 1) {
      const kind = kinds[next(kinds.length)]!;
      const count = kind === 'heading' ? 1 + next(5) : 1 + next(next(6) === 0 ? 900 : 60);
      builder.add(kind, Array.from({ length: count }, () => words[next(words.length)]).join(' '), 1 + next(6));
    }
  }
  return builder.finish(null);
}

function expectToKeepPromises(parsed: ParsedDocument, seed: number): void {
  const sizes = seed % 3 === 0 ? { targetChars: 80, maxChars: 120 } : { targetChars: 1100, maxChars: 1300 };
  const chunks = chunk(parsed, sizes);
  let end = 0;
  for (const [index, one] of chunks.entries()) {
    expect(one.ordinal).toBe(index);
    expect(one.text).toBe(parsed.text.slice(one.start, one.end));
    expect(one.text).toBe(one.text.trim());
    expect(one.text).not.toBe('');
    expect(one.text.length).toBeLessThanOrEqual(sizes.maxChars);
    expect(one.text).not.toMatch(/^[\udc00-\udfff]|[\ud800-\udbff]$/);
    // What stands between two chunks is white space: nothing is lost.
    expect(one.start).toBeGreaterThanOrEqual(end);
    expect(parsed.text.slice(end, one.start).trim()).toBe('');
    end = one.end;
    const inside = parsed.blocks.filter((block) => block.start < one.end && block.end > one.start);
    expect(new Set(inside.map((block) => block.page))).toEqual(new Set([one.page]));
    // Headings stand only at the front, each deeper than the one before.
    const headings = inside.filter((block) => block.kind === 'heading');
    expect(inside.slice(0, headings.length)).toEqual(headings);
    expect(headings.every((block, at) => at === 0 || block.level! > headings[at - 1]!.level!)).toBe(true);
    const block = inside[0]!;
    if (trimmedStart(parsed.text, block.start) < one.start) expectBreak(parsed.text, block, one.start, sizes.maxChars);
    else if (block.kind !== 'heading') expectNoRoomBefore(parsed, chunks, index, sizes.targetChars);
  }
  expect(parsed.text.slice(end).trim()).toBe('');
}

const trimmedStart = (text: string, start: number): number => start + text.slice(start).search(/\S/);

/** Where the rows, lines or sentences of a block begin, white space before them left out, and how long each is. */
function unitsOf(text: string, { kind, start, end }: Block): { start: number; length: number }[] {
  const own = text.slice(start, end);
  const byLine = ['table', 'list', 'code'].includes(kind);
  const segmenter = new Intl.Segmenter('und', { granularity: 'sentence' });
  const units = byLine ? own.split(/(?<=\n)/) : [...segmenter.segment(own)].map(({ segment }) => segment);
  let at = start;
  return units.map((unit) => {
    at += unit.length;
    return { start: at - unit.trimStart().length, length: unit.trim().length };
  });
}

const known = new WeakMap<Block, ReturnType<typeof unitsOf>>();

/** A chunk that begins inside a block begins with one of its rows, lines or sentences, unless one alone is too long. */
function expectBreak(text: string, block: Block, at: number, max: number): void {
  if (block.kind === 'code') expect(block.end - block.start).toBeGreaterThan(max);
  const units = known.get(block) ?? unitsOf(text, block);
  known.set(block, units);
  const cut = units.findLast(({ start }) => start <= at)!;
  if (cut.start !== at) expect(cut.length).toBeGreaterThan(max);
}

/** Neighbours of one section and page that fit together are together, unless there is so much that it is cut in stretches. */
function expectNoRoomBefore(parsed: ParsedDocument, chunks: Passage[], index: number, target: number): void {
  const one = chunks[index]!;
  const together = chunks.filter(
    ({ page, section }) => page === one.page && JSON.stringify(section) === JSON.stringify(one.section),
  );
  const before = chunks[index - 1];
  if (!before || before.page !== one.page || together.at(-1)!.end - together[0]!.start >= 4 * target) return;
  const first = parsed.blocks.find((block) => block.start <= one.start && one.start < block.end)!;
  expect(first.end - before.start).toBeGreaterThan(target);
}
