import { Client } from './client.mjs';
import { expect, say, showAnswer, step } from './page.mjs';

export async function askAsTwoPeople(admin, base, documents) {
  const question = 'What is the salary of a senior calibration engineer?';
  step(`Two people ask: ${question}`);
  const secret = documents.get('salary-bands.docx');
  const ada = await person(admin, 'ada', ['hr']);
  const bob = await person(admin, 'bob', []);

  const told = await ada.ask(base, question);
  showAnswer('ada, group hr', told);
  expect(told.outcome !== 'not_found', 'an answer for ada', told.outcome);
  expect(
    told.answer.includes('59,700'),
    'the lowest salary of the band, 59,700 euros, in the answer for ada',
    told.answer,
  );
  expect(citedIn(told, secret).length > 0, 'ada to be shown the salary bands as a source', told.citations);
  await checkQuotes(admin, base, told);

  const refused = await bob.ask(base, question);
  showAnswer('bob, no group', refused);
  expect(!JSON.stringify(refused).includes('59,700'), 'no salary in the answer for bob', refused);
  expect(citedIn(refused, secret).length === 0, 'no citation of the salary bands for bob', refused.citations);
  await checkQuotes(admin, base, refused);

  const { results } = await bob.post(`/v1/knowledge-bases/${base}/search`, { query: question, topK: 20 });
  const leaked = results.filter(({ document }) => document.id === secret);
  expect(leaked.length === 0, 'no passage of the salary bands in a search by bob', leaked);
  say(`a search by bob finds ${results.length} passages, none of them from the salary bands`);
}

async function person(admin, subject, groups) {
  const wish = { subject, groups, scopes: ['search', 'chat'], ttlSeconds: 600 };
  const { token } = await admin.post('/v1/tokens', wish);
  return new Client(admin.url, token);
}

export async function askAboutAnErrorCode(admin, base, documents) {
  const question = 'What does error code E47 mean on the X200?';
  step(`A page of the manual: ${question}`);
  const answer = await admin.ask(base, question);
  showAnswer('answer', answer);
  const cited = citedIn(answer, documents.get('scale-x200-manual.pdf'));
  expect(answer.answer.includes('Calibration weight is stuck'), 'the meaning of E47 in the answer', answer.answer);
  expect(
    cited.some(({ page }) => page === 4),
    'a citation of page 4 of the manual',
    answer.citations,
  );
  await checkQuotes(admin, base, answer);
}

const citedIn = (answer, documentId) => answer.citations.filter((citation) => citation.documentId === documentId);

/** Each quote stands in the stored text, at the offsets that its citation gives. */
export async function checkQuotes(admin, base, answer) {
  for (const { documentId, revision, quote, start, end } of answer.citations) {
    const { text } = await admin.get(
      `/v1/knowledge-bases/${base}/documents/${documentId}/content?revision=${revision}`,
    );
    expect(text.slice(start, end) === quote, `the quote at ${start} to ${end}: ${quote}`, text.slice(start, end));
  }
  if (answer.citations.length > 0) say('  each quote was found at its offsets in the stored text');
}
