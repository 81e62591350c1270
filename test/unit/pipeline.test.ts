import { describe, expect, it } from 'vitest';
import { fingerprint, isLanguage } from '../../src/knowledge/pipeline.js';

const pipeline = { chunking: { targetChars: 1100, maxChars: 1300 }, embedding: { model: 'lectern-lexical-384' } };

describe('the fingerprint of a pipeline', () => {
  it('is without a chosen language what it was before one could be chosen, so that indexes stay good', () => {
    const before = '2bfe22f77879e3cec6dcf126e5da951008f49419fcf98a0b95589df064931821';
    expect(fingerprint(pipeline, 384)).toBe(before);
  });

  it('tells a chosen language from none, and from another', () => {
    const prints = [undefined, 'de', 'en'].map((language) => fingerprint({ ...pipeline, language }, 384));
    expect(new Set(prints).size).toBe(3);
  });
});

it('a language is named by its ISO 639-1 code', () => {
  expect(['en', 'de', 'zh', 'nb', 'sw', 'ga'].filter(isLanguage)).toHaveLength(6);
  expect(['', 'xx', 'DE', 'deu', 'de-AT', 'auto', 'e', '\u0064\u0435'].filter(isLanguage)).toEqual([]);
});
