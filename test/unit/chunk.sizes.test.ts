import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.js';
import { chunk } from '../../src/ingestion/chunk.js';
import { TextBuilder } from '../../src/ingestion/parsers/text-builder.js';
import { embeddedText, inContext } from '../../src/knowledge/chunks.js';
import { type ChunkSizes, chunkSizes, fingerprint } from '../../src/knowledge/pipeline.js';
import { cl100k, estimated, fits, quarters, type Reading } from '../../src/platform/models/tokens.js';

const prose =
  'The harbour master is to be asked before anybody moors at the northern quay, at 12.30 o’clock or later. ';
const figures = Array.from({ length: 300 }, (_, row) => `Net sales | 1,${row}4.5 | (2,345.6) | 12.${row}% | $ 45,678`);
const chinese = '向量数据库把文档切成片段，并为每个片段计算向量。';

const builtIn = (maxTokens: number): Reading => ({ tokens: quarters, maxTokens });

function everything() {
  const builder = new TextBuilder(readConfig({}).parser.bounds);
  builder.add('heading', 'Harbour', 1);
  builder.add('paragraph', prose.repeat(100));
  builder.add('heading', 'Figures', 2);
  builder.addTable({ caption: 'Table 1: Sales', header: ['What | 2021 | 2022 | Change | Net'], rows: figures });
  builder.add('paragraph', chinese.repeat(100));
  builder.add('code', 'x0'.repeat(3000));
  builder.add('paragraph', '😀'.repeat(2000));
  return builder.finish(null);
}

describe('sizes', () => {
  it.each<[string, () => Promise<Reading>, ChunkSizes]>([
    ['counted', async () => ({ tokens: await cl100k(), maxTokens: 8191 }), { targetTokens: 275, maxTokens: 325 }],
    ['estimated', async () => ({ tokens: estimated, maxTokens: 512 }), { targetTokens: 50, maxTokens: 60 }],
    ['counted, of a model that takes less', async () => ({ tokens: await cl100k(), maxTokens: 128 }), chunkSizes()!],
    [
      'in characters, of a model that takes less',
      async () => ({ tokens: await cl100k(), maxTokens: 256 }),
      { targetChars: 1100, maxChars: 1300 },
    ],
  ])('in tokens hold for each chunk, and with its context the model takes it: %s', async (_name, read, sizes) => {
    const reading = await read();
    const parsed = everything();
    const chunks = chunk(parsed, sizes, reading);
    const most = 'maxTokens' in sizes ? Math.min(sizes.maxTokens, reading.maxTokens) : reading.maxTokens;
    for (const one of chunks) {
      expect(reading.tokens.count(one.text)).toBeLessThanOrEqual(most);
      expect(fits(reading, embeddedText(one, reading))).toBe(true);
      expect(embeddedText(one, reading).endsWith(one.text)).toBe(true);
    }
    expect(
      chunks
        .map(({ text }) => text)
        .join('')
        .replaceAll(/\s/g, ''),
    ).toBe(parsed.text.replaceAll(/\s/g, ''));
    // Chunks are as large as they may be, but for what a sentence or row leaves over.
    const mean = chunks.reduce((sum, { text }) => sum + reading.tokens.count(text), 0) / chunks.length;
    expect(mean).toBeGreaterThan(Math.min(most, 'maxTokens' in sizes ? sizes.targetTokens : Infinity) / 2);
  });

  it('in tokens of the built-in model are four characters each', () => {
    const parsed = everything();
    const inCharacters = chunk(parsed, { targetChars: 1100, maxChars: 1300 });
    expect(chunk(parsed)).toEqual(inCharacters);
    expect(chunk(parsed, { targetTokens: 50, maxTokens: 80 })).toEqual(
      chunk(parsed, { targetChars: 200, maxChars: 320 }),
    );
  });

  it('leave out of what is embedded the headings that are farthest away, when the model does not take all', () => {
    const passage = {
      ordinal: 0,
      page: null,
      start: 0,
      end: 4,
      section: ['One', 'Two'],
      lead: 'Table\nA | B',
      text: '1 | 2',
    };
    expect(embeddedText(passage, builtIn(inContext(passage).length / 4))).toBe('One\nTwo\nTable\nA | B\n1 | 2');
    expect(embeddedText(passage, builtIn(3))).toBe('A | B\n1 | 2');
    expect(embeddedText(passage, builtIn(1))).toBe('1 | 2');
  });
});

describe('what a base is made with', () => {
  it('is filled in, and grows with the target', () => {
    expect(chunkSizes()).toEqual({ targetTokens: 275, maxTokens: 325 });
    expect(chunkSizes({ targetTokens: 400 })).toEqual({ targetTokens: 400, maxTokens: 400 });
    expect(chunkSizes({ maxTokens: 100 })).toEqual({ targetTokens: 100, maxTokens: 100 });
    expect(chunkSizes({ targetChars: 600 })).toEqual({ targetChars: 600, maxChars: 1300 });
    expect(chunkSizes({ targetChars: 600, maxTokens: 300 })).toBeNull();
  });

  it('in characters, before there were tokens, still has the index it had', () => {
    const pipeline = { chunking: { maxChars: 1300, targetChars: 1100 }, embedding: { model: 'lectern-lexical-384' } };
    expect(fingerprint(pipeline, 384)).toBe('154840c5df4496ea31e4d167cc57a5d41bf89ecc9940ad66db47f76a414bcf7f');
  });
});
