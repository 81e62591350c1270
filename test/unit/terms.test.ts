import { describe, expect, it } from 'vitest';
import { frequencies, terms, termSpace, termVector } from '../../src/knowledge/terms.js';

describe('the terms of a text', () => {
  it('are its words in lower case and order, stemmed, without stop words, as often as they occur', () => {
    expect(terms('The Days were counted; the days of leaving!')).toEqual(['day', 'count', 'day', 'leav']);
  });

  it('do not depend on how a text is encoded or cased', () => {
    expect(terms('ＦＵＬＬ ﬁle Ｘ２００')).toEqual(terms('full file x200'));
    expect(terms('cafe\u0301')).toEqual(terms('CAFÉ'));
  });

  it('leave numbers and names with digits as they are', () => {
    expect(terms('Article 27 of X200s')).toEqual(['articl', '27', 'x200s']);
  });

  it('drop a possessive, straight or curly', () => {
    expect(terms("company's")).toEqual(terms('company’s'));
    expect(terms("company's")).toEqual(terms('company'));
  });

  it('are pairs of neighbouring characters where words are not spaced, also beside words that are', () => {
    expect(terms('年次休暇')).toEqual(['年次', '次休', '休暇']);
    expect(terms('休')).toEqual(['休']);
    expect(terms('GPT年次')).toEqual(['gpt', '年次']);
  });

  it('keep the marks of scripts that write vowels as marks', () => {
    expect(terms('हिन्दी')).toEqual(['हिन्दी']);
  });

  it.each(['', ' \n\t', '—…!?', 'the of and'])('of %j are none', (text) => expect(terms(text)).toEqual([]));

  // A step for each pair of letters would take a day.
  it('are found in a megabyte of one run', () => {
    expect(terms('a'.repeat(1_000_000))).toHaveLength(1);
  });
});

describe('a term vector', () => {
  it('counts each term in its own place, in rising order, within the space', () => {
    const text = termVector(frequencies(['leave', 'days', 'leave']));
    const [, inner = '', size] = /^\{(.*)\}\/(\d+)$/.exec(text) ?? [];
    const places = inner.split(',').map((pair) => pair.split(':').map(Number));
    expect(Number(size)).toBe(termSpace);
    expect(places.map(([, count]) => count).sort()).toEqual([1, 2]);
    expect(places.map(([place]) => place)).toEqual(places.map(([place]) => place).sort((a = 0, b = 0) => a - b));
    expect(places.every(([place = 0]) => place >= 1 && place <= termSpace)).toBe(true);
  });

  it('is the same for the same terms in another order, and empty for none', () => {
    expect(termVector(frequencies(['a1', 'b2']))).toBe(termVector(frequencies(['b2', 'a1'])));
    expect(termVector(new Map())).toBe(`{}/${termSpace}`);
  });
});
