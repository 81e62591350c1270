import { describe, expect, it } from 'vitest';
import { dropStatements } from '../../src/chat/citations.js';
import { type KeptRecord, withoutDocuments } from '../../src/chat/without-documents.js';

const [one, other] = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'];

const record = (more: Partial<KeptRecord> = {}): KeptRecord => ({
  answer: 'Leave is 27 days. [1] Part-timers have 14. [2]',
  outcome: 'answered',
  mode: 'extractive',
  citations: [1, 2].map((marker) => ({
    marker,
    documentId: `doc_${marker === 1 ? one : other}`,
    revision: `rev_${marker}`,
    title: `Title ${marker}`,
    section: [`Section ${marker}`],
    page: marker,
    sourceUrl: 'https://example.com',
    sourceUpdatedAt: null,
    quote: `Quote ${marker}`,
    start: marker,
    end: marker + 7,
  })),
  documentIds: [one, other],
  passages: [
    { documentId: `doc_${one}`, revision: 'rev_1', start: 0, end: 9 },
    { documentId: `doc_${other}`, revision: 'rev_2', start: 0, end: 9 },
  ],
  ...more,
});
const without = (gone: string[], more: Partial<KeptRecord> = {}) => {
  const kept = record(more);
  return withoutDocuments({ text: kept.answer, record: kept }, gone);
};

describe('an answer without a document', () => {
  it('keeps the statements, passages and citations of the others', () => {
    const left = without([one]);
    expect([left.text, left.record.answer]).toEqual(['Part-timers have 14. [2]', 'Part-timers have 14. [2]']);
    expect(left.record.citations).toEqual([
      { marker: 1, documentId: `doc_${one}`, revision: 'rev_1', start: 1, end: 8, deleted: true },
      record().citations[1],
    ]);
    expect(left.record.passages).toEqual([record().passages[1]]);
    expect(left.removed).toEqual({ passages: 1, citations: 1 });
  });

  it('that a model wrote has no words left, also when the document was only told of', () => {
    expect(without([one], { mode: 'generated' }).text).toBe('');
    expect(without([one], { mode: 'generated', citations: record().citations.slice(1) })).toMatchObject({
      text: '',
      removed: { passages: 1, citations: 0 },
    });
  });

  it('that says it found nothing, says so still', () => {
    expect(without([one], { mode: 'generated', outcome: 'not_found', answer: 'Nothing.', citations: [] }).text).toBe(
      'Nothing.',
    );
  });

  it('is the same when it never was about that one, and when it is taken out twice', () => {
    const stranger = '33333333-3333-4333-8333-333333333333';
    expect(without([stranger])).toEqual({
      text: record().answer,
      record: record(),
      removed: { passages: 0, citations: 0 },
    });
    const once = without([one]);
    expect(withoutDocuments(once, [one])).toEqual({ ...once, removed: { passages: 0, citations: 0 } });
  });
});

describe('statements are dropped', () => {
  it.each([
    ['A. [1] B. [2] C. [1]', [1], 'B. [2]'],
    ['A. [1]\nB. [2]', [2], 'A. [1]'],
    ['A and B. [1] [2] C. [3]', [2], 'C. [3]'],
    ['A and B. [1] [2] C. [3]', [1], '[2] C. [3]'],
    ['Nothing cited.', [1], 'Nothing cited.'],
    ['Staff [see annex A] have 27 days. [1]', [1], ''],
    ['A. [1] Set `providers: []` in it [here]. [2] C. [3]', [2], 'A. [1] C. [3]'],
  ])('%s without %j', (answer, markers, left) => {
    expect(dropStatements(answer, new Set(markers))).toBe(left);
  });
});
