import { describe, expect, it } from 'vitest';
import { gramProfile, gramScores, gramStatistics } from '../../src/retrieval/characters.js';

const scoresOf = (question: string, texts: string[], sample = texts) => [
  ...gramScores(question, texts.map(gramProfile), gramStatistics(sample.map(gramProfile))),
];

function best(question: string, texts: string[]): string | undefined {
  const scores = scoresOf(question, texts);
  return texts[scores.indexOf(Math.max(...scores))];
}

describe('character grams', () => {
  it.each([
    ['a typo', 'reimbursment', 'Reimbursement of travel costs'],
    ['a compound', 'Urlaubsantrag', 'Der Antrag auf Urlaub'],
    ['another form', 'organizational', 'The organisation of the yard'],
    ['Chinese', '退款政策', '我们的退款规则'],
    ['Thai', 'นโยบายการคืนเงิน', 'การคืนเงินของเรา'],
    ['Lao', 'ລາພັກ', 'ການລາພັກປະຈໍາປີ'],
    ['Khmer', 'ច្បាប់ឈប់', 'ការសុំច្បាប់ឈប់សម្រាក'],
    ['a short word', 'E1', 'Error E1 means no paper'],
  ])('%s finds what shares most letters', (_, question, wanted) => {
    const others = ['The printer on floor two', 'Le menu de la semaine', '停车场在北边', 'Parking in the north yard'];
    expect(best(question, [...others, wanted])).toBe(wanted);
  });

  it('what every text holds tells none from another', () => {
    const texts = ['common words red', 'common words blue', 'common words green'];
    const scores = scoresOf('common red', texts);
    expect(scores[0]).toBeGreaterThan((scores[1] ?? 0) + 1);
    expect(Math.abs((scores[1] ?? 0) - (scores[2] ?? 0))).toBeLessThan(0.2);
  });

  it('a text without letters scores nothing', () => {
    expect(scoresOf('anything', ['', '—— …'], ['some words'])).toEqual([0, 0]);
  });
});
