import { describe, expect, it } from 'vitest';
import { frequencies, terms } from '../../src/knowledge/terms.js';
import { askedTerms, unite } from '../../src/retrieval/asked-terms.js';

const variants = (question: string, languages: string[]) =>
  askedTerms(question, languages).map((each) => each.variants);

describe('what a question asks for', () => {
  it.each([
    'How many days of leave does an employee have in a year?',
    "policy policies POLICY of the company's bikes",
    'what is the of',
    '年次休暇 in GPT-4, café İstanbul',
  ])('is its terms and their counts where all documents are English: %s', (question) => {
    const asked = [...frequencies(terms(question))].map(([term, count]) => ({ variants: [term], count }));
    expect(askedTerms(question, ['en'])).toEqual(asked);
    expect(askedTerms(question, ['en', 'zh', 'th', 'el'])).toEqual(asked);
  });

  it('is, of each word, all that it can be in a language of the index', () => {
    expect(variants('marketing', ['en', 'de'])).toEqual([['market', 'marketing']]);
    expect(variants('universities', ['en', 'de', 'fr'])).toEqual([['univers', 'universiti', 'universit']]);
    expect(variants('marketing', ['pl', 'vi'])).toEqual([['marketing']]);
  });

  it('counts a word as often as it is asked for in any form', () => {
    expect(askedTerms('Vertrag Verträge Vertrages', ['de'])).toEqual([{ variants: ['vertrag'], count: 3 }]);
  });

  it('leaves out the stop words of the language that the question is in', () => {
    expect(variants('Was ist die Kündigungsfrist?', ['en', 'de'])).toEqual([['kündigungsfrist', 'kundigungsfrist']]);
    expect(variants('What is the notice period?', ['de', 'en', 'ru'])).toEqual([['notic'], ['period']]);
  });

  it('keeps a word that is a stop word in some language, when it is not clear that the question is in that one', () => {
    expect(variants('die hard', ['en', 'de'])).toEqual([['die'], ['hard']]);
    expect(variants('war in Europe', ['en', 'de'])).toEqual([['war'], ['europ']]);
    expect(variants('was', ['en', 'de'])).toEqual([]);
  });

  it('is read with the capital letters of each language', () => {
    expect(variants('ISPARTA', ['en', 'tr'])).toEqual([['isparta', 'ıspar']]);
  });

  it('is something in an index without any language', () => {
    expect(variants('days', [])).toEqual([['day']]);
  });
});

const postings = (entries: [number: number, count: number][]) => ({
  numbers: Int32Array.from(entries, ([number]) => number),
  counts: Uint8Array.from(entries, ([, count]) => count),
});

describe('the postings of several variants', () => {
  it('are one list: each chunk once, with the sum of the counts', () => {
    const [united] = unite(
      [
        postings([
          [1, 2],
          [4, 1],
        ]),
        undefined,
        postings([
          [0, 1],
          [4, 3],
          [9, 200],
        ]),
      ],
      [3],
    );
    expect(united).toEqual(
      postings([
        [0, 1],
        [1, 2],
        [4, 4],
        [9, 200],
      ]),
    );
  });

  it('count 255 at most', () => {
    expect(unite([postings([[3, 200]]), postings([[3, 100]])], [2])).toEqual([postings([[3, 255]])]);
  });

  it('of a word with one variant are its own, and of one that stands nowhere none', () => {
    const own = postings([[1, 1]]);
    const found = unite([own, undefined, undefined, own], [1, 2, 1]);
    expect(found).toEqual([own, undefined, own]);
    expect(found[0]).toBe(own);
  });
});
