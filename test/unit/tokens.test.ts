import { getEncoding } from 'js-tiktoken';
import { describe, expect, it } from 'vitest';
import { cl100k, estimated, fits, quarters, readingOf } from '../../src/platform/models/tokens.js';

const samples: Record<string, string> = {
  English: 'Staff get 28 days of leave, which is booked in the portal before the 1st of March; nobody loses any.\n\n',
  German: 'Die Geschwindigkeitsbegrenzung für Lastkraftwagen gilt außerhalb geschlossener Ortschaften überall. ',
  Chinese: '向量数据库把文档切成片段，并为每个片段计算向量。',
  Thai: 'เอกสารจะถูกแบ่งออกเป็นส่วนๆ และแต่ละส่วนจะได้รับเวกเตอร์ ',
  Arabic: 'يتم تقسيم المستند إلى أجزاء، ويحصل كل جزء على متجه. ',
  figures: 'Net sales | 1,234.5 | 2,345.6 | 12.3% | $ (1,234) | — | 45,678\n',
  code: 'for (const { unit } of unitsOf(text)) sum += weigh(unit);\n  return sum;\n',
  emoji: '😀🎉👍🏽 ',
};
const whole = Object.values(samples).join('').repeat(3);

describe('tokens of OpenAI’s embedding models', () => {
  it('are counted as OpenAI counts them', async () => {
    const reference = getEncoding('cl100k_base');
    const tokens = await cl100k();
    for (const text of [...Object.values(samples), whole])
      expect(tokens.count(text)).toBe(reference.encode(text).length);
  });

  it('are counted in time that does not grow with the length of a word, and too high rather than too low', async () => {
    const before = process.cpuUsage();
    expect((await cl100k()).count('x0'.repeat(100_000))).toBeGreaterThan(50_000);
    expect((await cl100k()).count('x'.repeat(200_000))).toBeGreaterThan(20_000);
    expect(process.cpuUsage(before).user / 1e6).toBeLessThan(10);
  });

  it('are those of models whose names say so, with the most that these take', async () => {
    expect(await readingOf('text-embedding-3-small', 0)).toEqual({ tokens: await cl100k(), maxTokens: 8191 });
    expect(await readingOf('openai/text-embedding-ada-002', 100)).toEqual({ tokens: await cl100k(), maxTokens: 100 });
    expect(await readingOf('nomic-embed-text', 0)).toEqual({ tokens: estimated, maxTokens: 512 });
  });
});

it.each(Object.entries(samples))('an estimate is near what is counted, and not far below: %s', async (_name, text) => {
  const counted = (await cl100k()).count(text.repeat(20));
  expect(estimated.count(text.repeat(20)) / counted).toBeGreaterThan(0.9);
  expect(estimated.count(text.repeat(20)) / counted).toBeLessThan(1.6);
});

it('a text reaches as far as its limit allows, and always somewhere', async () => {
  for (const tokens of [await cl100k(), estimated, quarters]) {
    for (const limit of [0.1, 1, 2, 7, 50, 333]) {
      const reach = tokens.reach(whole, limit);
      expect(reach).toBeGreaterThan(0);
      if (reach > 1) expect(tokens.count(whole.slice(0, reach))).toBeLessThanOrEqual(limit);
      // A word is 20 tokens at most.
      expect(tokens.count(whole.slice(0, reach + 1))).toBeGreaterThan(limit - 20);
    }
    expect(tokens.reach('short', 100)).toBeGreaterThanOrEqual('short'.length);
  }
});

it('a model takes what has no more bytes, or no more tokens, than it reads at once', () => {
  const reading = { tokens: estimated, maxTokens: 20 };
  expect(fits(reading, 'a '.repeat(10))).toBe(true);
  expect(fits(reading, 'a '.repeat(20))).toBe(true);
  expect(fits(reading, 'a '.repeat(21))).toBe(false);
});
