import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.js';
import { chunk } from '../../src/ingestion/chunk.js';
import type { BlockKind } from '../../src/ingestion/parsers/parsed.js';
import { TextBuilder } from '../../src/ingestion/parsers/text-builder.js';
import { contextHash } from '../../src/knowledge/chunks.js';
import { cl100k } from '../../src/platform/models/tokens.js';

// What is the same again and again is the worst case: nothing but chance would bring the boundaries together again.
const paragraph = (number: number): string =>
  `Paragraph ${String(number).padStart(5, '0')} says that the harbour master is asked before anybody moors at the quay.`;
const row = (number: number): string => `Berth ${String(number).padStart(5, '0')} | 12.5 m | free`;

/** Texts of some 200 pages with no heading on any of them, in parts that can be edited. */
const longTexts: [what: string, kind: BlockKind, parts: string[], joined: string | null][] = [
  ['paragraphs of one length', 'paragraph', made(5000, paragraph), null],
  ['sentences of one length in one paragraph', 'paragraph', made(5000, paragraph), ' '],
  ['a list', 'list', made(15_000, (number) => `- ${row(number)}`), '\n'],
  ['a table', 'table', made(15_000, row), '\n'],
  ['lines of code', 'code', made(15_000, (number) => `moor(${String(number).padStart(5, '0')}, harbour);`), '\n'],
];

function made(count: number, part: (number: number) => string): string[] {
  return Array.from({ length: count }, (_, number) => part(number));
}

const edits: [what: string, edit: (parts: string[], at: number) => string[]][] = [
  ['a part more', (parts, at) => parts.toSpliced(at, 0, paragraph(99_999))],
  ['a part less', (parts, at) => parts.toSpliced(at, 1)],
  ['a longer part', (parts, at) => parts.with(at, `${parts[at]} and so on, and so on, and so on`)],
  ['a shorter part', (parts, at) => parts.with(at, parts[at]!.slice(0, 10))],
];

function hashesOf(kind: BlockKind, parts: string[], joined: string | null, reading?: Parameters<typeof chunk>[2]) {
  const builder = new TextBuilder(readConfig({}).parser.bounds);
  for (const part of joined === null ? parts : [parts.join(joined)]) builder.add(kind, part);
  return chunk(builder.finish(null), undefined, reading).map((passage) => contextHash(passage).toString('hex'));
}

const changed = (before: string[], after: string[]): number => {
  const known = new Set(before);
  return after.filter((hash) => !known.has(hash)).length;
};

describe('an edit of a long text without headings', () => {
  it.each(longTexts)('changes two in a hundred chunks, and never many: %s', (_what, kind, parts, joined) => {
    const before = hashesOf(kind, parts, joined);
    expect(before.length).toBeGreaterThan(200);
    const counts = edits.flatMap(([, edit]) =>
      [0.001, 0.1, 0.3, 0.5, 0.7, 0.9].map((share) =>
        changed(before, hashesOf(kind, edit(parts, Math.floor(share * parts.length)), joined)),
      ),
    );
    const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
    expect(mean / before.length).toBeLessThanOrEqual(0.02);
    expect(Math.max(...counts)).toBeLessThanOrEqual(30);
  });

  it('moves none far from it either where chunks are counted in tokens', async () => {
    const reading = { tokens: await cl100k(), maxTokens: 8191 };
    const parts = made(3000, paragraph);
    const before = hashesOf('paragraph', parts, null, reading);
    const after = hashesOf('paragraph', parts.toSpliced(3, 1), null, reading);
    expect(changed(before, after)).toBeLessThanOrEqual(30);
  });

  it('does not cut what is as long as a few chunks in smaller ones than there must be', () => {
    for (const count of [1, 10, 30, 45]) {
      const text = made(count, paragraph).join('\n\n');
      expect(hashesOf('paragraph', made(count, paragraph), null)).toHaveLength(Math.ceil((text.length + 2) / 1100));
    }
  });
});
