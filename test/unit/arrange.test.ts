import { describe, expect, it } from 'vitest';
import { withoutNearDuplicates } from '../../src/retrieval/near-duplicates.js';
import { limitPerDocument } from '../../src/retrieval/per-document.js';
import { prefer } from '../../src/retrieval/preferences.js';

const words =
  'every employee who has worked here for at least one whole year may take leave on days that the manager has agreed to beforehand in writing';

const price = (figure: number) => `${words}, and the price of it is ${figure} a year`;

/** Which of the texts are kept, each with how many were left out for it. */
const kept = (...texts: string[]) => {
  const { rows, duplicates } = withoutNearDuplicates(texts.map((text) => ({ text })));
  return rows.map((row) => [texts.indexOf(row.text), duplicates.get(row)?.length ?? 0]);
};

describe('near-duplicates', () => {
  it('of a better passage are left out, and counted with it', () => {
    const copy = `${words[0]?.toUpperCase()}${words.slice(1)}!`;
    const close = words.replace('at least', 'at minimum');
    expect(kept(words, 'something else entirely about trains', copy, close)).toEqual([
      [0, 2],
      [1, 0],
    ]);
  });

  it('are not those that only share much', () => {
    expect(kept(words, `${words} ${words.split(' ').toReversed().join(' ')}`)).toHaveLength(2);
    expect(kept('The manual of a.', 'The manual of b.')).toHaveLength(2);
  });

  it('are not those that name other figures: that is what a reader looks for', () => {
    expect(kept(price(27), price(29), price(27))).toEqual([
      [0, 1],
      [1, 0],
    ]);
  });

  it('are found in scripts without spaces', () => {
    const chinese = '員工每年享有年假，須事先取得主管書面同意後方可休假，未使用的假期不得保留到次年使用';
    expect(kept(chinese, `${chinese}。`, '列車票由辦公室預訂')).toEqual([
      [0, 1],
      [2, 0],
    ]);
  });

  it('are looked for among the best fifty only', () => {
    const rows = Array.from({ length: 60 }, (_, n) => ({ text: n === 55 || n === 0 ? words : `word${'x'.repeat(n)}` }));
    expect(withoutNearDuplicates(rows).rows).toHaveLength(60);
  });
});

interface Row {
  document_id: string;
  lexical: { context: number; coverage: number };
}

/** One letter a passage, by its document, best first. After the dot those that match feebly; capitals are named by the question. */
const ranked = (spec: string): Row[] => {
  const [near = ''] = spec.split('.');
  return [...spec.replace('.', '')].map((letter, at) => ({
    document_id: letter.toLowerCase(),
    lexical: { context: /[A-Z]/.test(letter) ? 0.9 : 0.1, coverage: at < near.length ? 0.8 : 0.2 },
  }));
};

const listed = (spec: string, topK: number, most = 3) =>
  limitPerDocument(ranked(spec), most, topK)
    .rows.map(({ document_id }) => document_id)
    .join('');

describe('passages of one document', () => {
  it('are three at most where enough others match', () => {
    expect(listed('aaaaabbccdd.e', 8)).toBe('aaabbccd');
  });

  it('are all there is when no other document matches', () => {
    expect(listed('aaaaaaaaaa', 8)).toBe('aaaaaaaa');
    expect(listed('aaaaaaaaaa.bbcd', 8)).toBe('aaaaaaaa');
  });

  it('are not limited when the question names that document', () => {
    expect(listed('AAAAAAAAAbbccdd', 8)).toBe('aaaaaaaa');
    expect(listed('AAAAAAAABBccdd', 8)).toBe('aaaabbcc');
  });

  it('share the list when fewer documents match than could fill it', () => {
    expect(listed('aaaaaabbbbbb.cc', 10)).toBe('aaaaabbbbb');
  });

  it('come back, in their order, before the list stays shorter than it could be', () => {
    expect(listed('aaaaaabc.d', 9)).toBe('aaaaaabcd');
    expect(listed('aaaabc', 6, 1)).toBe('aaaabc');
  });

  it('are not counted when the limit is 0', () => {
    expect(listed('aaaaabbccdd.e', 8, 0)).toBe('aaaaabbc');
  });

  it('that were held back are told with those that stayed', () => {
    const { heldBack } = limitPerDocument(ranked('aaaaabbccdd.e'), 3, 8);
    expect([...heldBack]).toEqual([['a', 2]]);
  });

  it('of nothing are none', () => {
    expect(limitPerDocument([], 3, 8)).toEqual({ rows: [], heldBack: new Map() });
  });
});

const order = (list: { id: string }[]) => list.map(({ id }) => id).join('');

describe('preferences', () => {
  const now = new Date('2026-01-01T00:00:00Z');
  const row = (id: string, score: number, literal: number | null, freshAt = now) => ({
    id,
    score,
    literal,
    fresh_at: freshAt,
  });

  it('lift what holds the literals above all that does not', () => {
    const preferred = prefer([row('a', 0.9, 0), row('b', 0.5, 0.5), row('c', 0.1, 1), row('d', -0.3, 1)], null, now);
    expect(order(preferred)).toBe('cbda');
  });

  it('halve the preference for the recent with each half-life', () => {
    const old = (days: number) => new Date(now.getTime() - days * 86_400_000);
    const rows = [row('a', 1, null, old(20)), row('b', 0.9, null, old(10)), row('c', 0, null, old(0))];
    const preferred = prefer(rows, { halfLifeDays: 10, weight: 0.5 }, now);
    expect(order(preferred)).toBe('bac');
    expect(preferred.map(({ recency }) => recency)).toEqual([0.5, 0.25, 1]);
    expect(preferred.map(({ score }) => score)).toEqual([0.9 + 0.25, 1 + 0.125, 0.5]);
  });

  it('decide between equal ones by their dates', () => {
    const old = new Date('2020-01-01');
    const preferred = prefer([row('a', 1, null, old), row('b', 1, null)], { halfLifeDays: 10, weight: 0.1 }, now);
    expect(order(preferred)).toBe('ba');
  });

  it('take a document from the future for one of now', () => {
    const [only] = prefer([row('a', 1, null, new Date('2030-01-01'))], { halfLifeDays: 10, weight: 1 }, now);
    expect(only?.recency).toBe(1);
  });

  it('change nothing where there are none', () => {
    const rows = [row('a', 2, null), row('b', 1, null)];
    expect(prefer(rows, null, now)).toMatchObject([
      { id: 'a', score: 2, lifts: { literal: 0, recency: 0 }, recency: null },
      { id: 'b', score: 1 },
    ]);
  });
});
