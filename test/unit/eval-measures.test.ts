import { describe, expect, it } from 'vitest';
import { compare } from '../../bench/eval/compare.mjs';
import { ndcg, recall, reciprocalRank } from '../../bench/eval/measures.mjs';
import { plainBm25 } from '../../bench/eval/plain-bm25.mjs';
import { alignment, spanScores } from '../../bench/eval/spans.mjs';

describe('measures of a ranking', () => {
  const gains = new Map([
    ['a', 2],
    ['b', 1],
    ['c', 0],
  ]);

  it('nDCG takes the grade as the gain, and the best order of all that was judged as its measure', () => {
    expect(ndcg(['a', 'b'], gains, 10)).toBe(1);
    // b at rank 1 and a at rank 3: (1 + 2/log2(4)) / (2 + 1/log2(3))
    expect(ndcg(['b', 'x', 'a'], gains, 10)).toBeCloseTo(2 / 2.63093, 5);
    expect(ndcg(['x', 'b'], gains, 1)).toBe(0);
  });

  it('recall and reciprocal rank count what has a grade above 0, down to their depth', () => {
    expect(recall(['c', 'a', 'x'], gains, 100)).toBe(0.5);
    expect(recall(['x', 'a', 'b'], gains, 2)).toBe(0.5);
    expect(reciprocalRank(['c', 'x', 'b'], gains, 10)).toBeCloseTo(1 / 3);
    expect(reciprocalRank(['c', 'x', 'b'], gains, 2)).toBe(0);
  });
});

describe('a paired comparison', () => {
  it('calls what never differs a tie, and certain nothing', () => {
    const same = compare([0.5, 0.2], [0.5, 0.2]);
    expect(same).toMatchObject({ difference: 0, low: 0, high: 0, p: 1, wins: 0, losses: 0, ties: 2 });
  });

  it('finds a gain on each of 40 questions significant, and one that changes sides not', () => {
    const other = Array.from({ length: 40 }, (_, at) => (at % 7) / 10);
    const better = compare(
      other.map((value) => value + 0.1),
      other,
    );
    expect(better).toMatchObject({ wins: 40, losses: 0 });
    expect(better.p).toBeLessThan(0.001);
    expect([better.low, better.high]).toEqual([expect.closeTo(0.1), expect.closeTo(0.1)]);
    const mixed = compare(
      other.map((value, at) => value + (at % 2 === 0 ? 0.1 : -0.1)),
      other,
    );
    expect(mixed).toMatchObject({ wins: 20, losses: 20 });
    expect(mixed.p).toBeGreaterThan(0.5);
  });

  it('says the same for the same seed', () => {
    const [one, other] = [
      [0.1, 0.9, 0.4],
      [0.3, 0.2, 0.5],
    ];
    expect(compare(one!, other!, { seed: 7 })).toEqual(compare(one!, other!, { seed: 7 }));
  });
});

describe('spans that chunks cover', () => {
  const references = [
    { start: 10, end: 20 },
    { start: 40, end: 50 },
  ];

  it('recall is what of the references is covered, precision what of the chunks is wanted, IoU what both share', () => {
    // 5 and 10 of the references in 30 and 20 characters of chunks; 5 missed
    const scores = spanScores(references, [
      { start: 15, end: 45 },
      { start: 40, end: 60 },
    ]);
    expect(scores.recall).toBeCloseTo(15 / 20);
    expect(scores.precision).toBeCloseTo(15 / 50);
    expect(scores.iou).toBeCloseTo(15 / 55);
  });

  it('a chunk of another corpus is retrieved in vain', () => {
    const scores = spanScores(references, [
      { start: 10, end: 20 },
      { start: 40, end: 50, foreign: true },
    ]);
    expect(scores).toEqual({ recall: 0.5, precision: 0.5, iou: expect.closeTo(10 / 30) });
  });

  it('stored text is found in its corpus although white space was changed, and nothing else may be', () => {
    const places = alignment('One line.\n\nTwo', ' One  line.\n \n \nTwo ');
    expect([places[0], places[4], places[11], places[14]]).toEqual([1, 6, 16, 19]);
    expect(() => alignment('One fine', 'One line')).toThrow('leaves the corpus at 4');
  });
});

describe('plain BM25', () => {
  it('is the formula with k1 1.2 and b 0.75, title and text as one', () => {
    const rank = plainBm25([
      { id: 'long', title: '', text: 'ferry harbour pier quay dock basin' },
      { id: 'short', title: 'ferry', text: 'crossing' },
      { id: 'other', title: '', text: 'mountain' },
    ]);
    expect(rank('which ferry?', 10)).toEqual(['short', 'long']);
    expect(rank('volcano', 10)).toEqual([]);
    expect(rank('ferry', 1)).toEqual(['short']);
  });
});
