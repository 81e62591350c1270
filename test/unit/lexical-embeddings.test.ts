import { describe, expect, it } from 'vitest';
import { LexicalEmbeddings, lexicalVector } from '../../src/platform/models/lexical-embeddings.js';

const cosine = (a: string, b: string) => {
  const other = lexicalVector(b);
  return lexicalVector(a).reduce((sum, value, place) => sum + value * (other[place] ?? 0), 0);
};

describe('a lexical vector', () => {
  it.each(['annual leave', 'x', '', ' \n', '!?', '年次有給休暇', 'a'.repeat(20_000), '\ud800'])(
    'has 384 finite numbers and length 1: %j',
    (text) => {
      const vector = lexicalVector(text);
      expect(vector).toHaveLength(LexicalEmbeddings.dimensions);
      expect(Math.hypot(...vector)).toBeCloseTo(1, 10);
    },
  );

  it('is the same each time, for a document and for a question', async () => {
    const model = new LexicalEmbeddings();
    const [document] = await model.embedDocuments(['annual leave']);
    expect(await model.embedQuery('annual leave')).toEqual(document);
    expect(lexicalVector('annual leave')).toEqual(document);
  });

  it('does not care about case, width or punctuation', () => {
    expect(lexicalVector('Annual, LEAVE!')).toEqual(lexicalVector('annual leave'));
    expect(lexicalVector('ａｎｎｕａｌ leave')).toEqual(lexicalVector('annual leave'));
  });

  it('is closer to what shares words, and parts of words, than to what shares neither', () => {
    const question = 'How many days of parental leave?';
    const same = 'Parental leave lasts 60 days.';
    const related = 'Parents leaving early';
    const other = 'The printer stands in the cellar';
    expect(cosine(question, same)).toBeGreaterThan(cosine(question, related));
    expect(cosine(question, related)).toBeGreaterThan(cosine(question, other) + 0.1);
    expect(cosine(question, question)).toBeCloseTo(1, 10);
  });
});
