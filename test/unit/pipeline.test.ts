import { describe, expect, it } from 'vitest';
import { fingerprint, isLanguage } from '../../src/knowledge/pipeline.js';

const pipeline = { chunking: { targetChars: 1100, maxChars: 1300 }, embedding: { model: 'lectern-lexical-384' } };

describe('the fingerprint of a pipeline', () => {
  it('is without a chosen language what it was before one could be chosen, so that indexes stay good', () => {
    // Of the sizes in the order in which the database gives them, as every stored fingerprint was made.
    const before = '154840c5df4496ea31e4d167cc57a5d41bf89ecc9940ad66db47f76a414bcf7f';
    expect(fingerprint(pipeline, 384)).toBe(before);
    expect(fingerprint({ ...pipeline, chunking: { maxChars: 1300, targetChars: 1100 } }, 384)).toBe(before);
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
