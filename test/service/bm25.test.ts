import { afterAll, beforeAll, expect, it } from 'vitest';
import { terms } from '../../src/knowledge/terms.js';
import { type Service, joinService } from './harness.js';
import { type Library, openLibrary } from './library.js';

interface Made {
  externalId: string;
  title: string;
  heading: string;
  body: string;
  restricted: boolean;
}

const words =
  'leave annual days employee train plane bike lease year contract salary bonus office remote travel cost request approve manager policy'.split(
    ' ',
  );

/** Numbers that look drawn by chance and are the same in every run. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) % sides;
}

function makeDocuments(count: number): Made[] {
  const roll = dice(7);
  const some = (length: number) =>
    Array.from({ length }, () => words[Math.floor(roll(words.length * words.length) ** 0.5)] ?? 'leave').join(' ');
  return Array.from({ length: count }, (_, n) => ({
    externalId: `d${String(n).padStart(2, '0')}`,
    title: some(1 + roll(3)),
    heading: some(1 + roll(2)),
    body: some(5 + roll(60)),
    restricted: n % 3 === 0,
  }));
}

/** BM25 as the textbook has it: over heading and text, plus three times the title's terms, whose length does not count. */
function reference(documents: Made[], question: string): Map<string, number> {
  const asked = terms(question);
  const passages = documents.map(({ externalId, title, heading, body }) => {
    // The heading stands in the text too, since a chunk begins with it.
    const own = terms(`${heading}\n${heading}\n\n${body}`);
    const all = [...own, ...terms(title), ...terms(title), ...terms(title)];
    return { externalId, length: own.length, tf: (term: string) => all.filter((other) => other === term).length };
  });
  const mean = passages.reduce((sum, { length }) => sum + length, 0) / passages.length;
  const idf = (term: string) => {
    const df = passages.filter(({ tf }) => tf(term) > 0).length;
    return Math.log(1 + (passages.length - df + 0.5) / (df + 0.5));
  };
  const score = ({ tf, length }: (typeof passages)[number]) =>
    asked.reduce(
      (sum, term) => sum + (idf(term) * tf(term) * 2.2) / (tf(term) + 1.2 * (0.25 + (0.75 * length) / mean)),
      0,
    );
  return new Map(
    passages.map((passage) => [passage.externalId, score(passage)] as const).filter(([, value]) => value > 0),
  );
}

const questions = [
  'annual leave',
  'How many days of leave does an employee have in a year?',
  'bike lease',
  'policy policy travel',
  'remote',
];
const documents = makeDocuments(40);

let service: Service;
let library: Library;
let keyOfAda: string;

beforeAll(async () => {
  service = await joinService();
  library = await openLibrary(service);
  for (const { externalId, title, heading, body, restricted } of documents) {
    const access = restricted ? { visibility: 'restricted', allow: ['group:hr'] } : { visibility: 'tenant' };
    await library.upload({ externalId, title, content: `# ${heading}\n\n${body}`, access });
  }
  await service.settle();
  const body = { subject: 'ada', groups: [], scopes: ['search'], ttlSeconds: 3600 };
  keyOfAda = (await service.call('POST', '/v1/tokens', { body })).body.token;
});
afterAll(() => service.stop());

async function scores(question: string, key?: string): Promise<Map<string, number>> {
  const { results } = await library.search(question, { mode: 'keyword', topK: 100 }, key === undefined ? {} : { key });
  return new Map(
    results.map((result: { document: { externalId: string }; signals: { keyword: number } }) => [
      result.document.externalId,
      result.signals.keyword,
    ]),
  );
}

/** What is compared: every id with its score to a thousandth. */
const rounded = (ranked: Map<string, number>): Record<string, string> =>
  Object.fromEntries([...ranked].map(([id, score]) => [id, score.toFixed(3)]));

it.each(questions)('the keyword score is BM25 for everything that holds a term: %s', async (question) => {
  const expected = reference(documents, question);
  expect(expected.size).toBeGreaterThan(0);
  expect(rounded(await scores(question))).toEqual(rounded(expected));
});

it.each(questions)('hidden documents show in no score, as if they were not there: %s', async (question) => {
  const visible = documents.filter(({ restricted }) => !restricted);
  expect(rounded(await scores(question, keyOfAda))).toEqual(rounded(reference(visible, question)));
});

it('a question without a searchable word finds nothing by keyword', async () => {
  expect(await library.search('what is the of', { mode: 'keyword' })).toMatchObject({ results: [], mode: 'keyword' });
});
