import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeToken } from './callers.js';
import { type Service, joinService } from './harness.js';
import { type Library, openLibrary } from './library.js';

interface Found {
  document: { externalId: string };
  text: string;
  before?: string;
  after?: string;
  signals: Record<string, number | null>;
}

let service: Service;
let library: Library;

beforeAll(async () => {
  service = await joinService();
});
afterAll(() => service.stop());
beforeEach(async () => {
  library = await openLibrary(service);
});

async function found(query: string, more: Record<string, unknown> = {}, key?: string): Promise<Found[]> {
  return (await library.search(query, { mode: 'keyword', ...more }, key === undefined ? {} : { key })).results;
}

const named = (results: Found[]) => results.map(({ document }) => document.externalId);

/** Several documents, published together. */
async function publish(documents: Record<string, string>, more: Record<string, object> = {}): Promise<void> {
  for (const [externalId, content] of Object.entries(documents))
    await library.upload({ externalId, title: externalId, content, ...more[externalId] });
  await service.settle();
}

describe('what a question quotes or names exactly', () => {
  it.each(['keyword', 'hybrid', 'semantic'])('a quoted phrase lifts what holds it word for word: %s', async (mode) => {
    await publish({
      often: 'The policy of leave. Annual policy, leave policy, leave that is annual: a policy on leave, annual.',
      once: `${'Much is told of many things in a text that goes on and on. '.repeat(6)}See the annual leave policy.`,
    });
    expect(named(await found('annual leave policy', { mode }))[0]).toBe('often');
    const [first, second] = await found('"Annual  leave policy"', { mode });
    expect([first?.document.externalId, first?.signals['literal']]).toEqual(['once', 1]);
    expect([second?.document.externalId, second?.signals['literal']]).toEqual(['often', 0]);
    const off = await found('"annual leave policy"', { mode, rank: { understand: false } });
    expect([named(off)[0], off[0]?.signals['literal']]).toEqual(['often', null]);
  });

  it('an error code lifts what has it above what only has its parts', async () => {
    await publish({
      parts: 'ORA tells of 00942 and of 00943. ORA is what ORA says, and 00942 is what 00942 is.',
      longer: 'ORA-00942-7 and ORA-009421 are codes. ORA, ORA, 00942.',
      exact: `${'Much is told of many things in a text that goes on and on. '.repeat(6)}It ends with ora-00942.`,
    });
    const results = await found('What does ORA-00942 mean?');
    expect(named(results)[0]).toBe('exact');
    expect(results.map(({ signals }) => signals['literal'])).toEqual([1, 0, 0]);
  });

  it('says nothing where the question has nothing of the kind', async () => {
    await publish({ one: 'Annual leave.' });
    expect((await found('annual leave'))[0]?.signals['literal']).toBeNull();
  });

  it('a year is the same year in any spelling', async () => {
    const filing = ['Revenue', 'Costs']
      .map((topic) => `# ${topic}\n\n${`The ${topic.toLowerCase()} of the year are told in this part. `.repeat(12)}`)
      .join('\n\n');
    const periods = { a: 'FY21', b: 'FY22', c: '2023-12-31', d: 'fiscal year 2024' };
    for (const [externalId, period] of Object.entries(periods))
      await library.upload({ externalId, title: 'Report', content: filing, metadata: { period } });
    await service.settle();
    for (const [question, expected] of [
      ['revenue in 2022', 'b'],
      ['revenue in FY2021', 'a'],
      ['revenue of FY23', 'c'],
      ['revenue of FY2024', 'd'],
      ["revenue of fiscal '21", 'a'],
    ])
      expect([question, named(await found(question ?? ''))[0]]).toEqual([question, expected]);
  });
});

describe('near-duplicates', () => {
  const told =
    'Every employee who has worked here for a whole year may take leave on days that were agreed beforehand.';
  const other = 'A railway ticket for leave is booked by the office, with a seat, for whoever asks in time.';

  it('are left out, and counted with the passage they repeat', async () => {
    await publish({ a: told, b: `${told}!`, c: told.replace('beforehand', 'earlier'), d: other });
    const results = await found('leave of every employee agreed beforehand');
    expect(named(results)).toEqual(['a', 'd']);
    expect(results.map(({ signals }) => signals['duplicates'])).toEqual([2, 0]);
    const all = await found('leave of every employee', { rank: { dropDuplicates: false } });
    expect(named(all).sort()).toEqual(['a', 'b', 'c', 'd']);
  });

  it('that the caller may not see leave nothing out and are not counted', async () => {
    const board = { access: { visibility: 'restricted', allow: ['group:board'] } };
    await publish({ hidden: told, seen: `${told}!` }, { hidden: board });
    const results = await found('leave', {}, await makeToken(service, service.key, { scopes: ['search'] }));
    expect(results.map(({ document, signals }) => [document.externalId, signals['duplicates']])).toEqual([['seen', 0]]);
  });
});

const part = (topic: string, n: number) =>
  `# ${topic} ${n}\n\nLeave in case ${n} of ${topic}. ${`Case number ${n} is told at length in ${topic}. `.repeat(20)}`;
const parts = (topic: string, count: number) => Array.from({ length: count }, (_, n) => part(topic, n)).join('\n\n');

describe('passages of one document', () => {
  it('are three at most where other documents match as well', async () => {
    await publish({ a: parts('sickness', 6), b: parts('weddings', 2), c: parts('moving', 2), d: parts('care', 2) });
    const results = await found('leave', { topK: 8 });
    expect(results).toHaveLength(8);
    const ofA = results.filter(({ document }) => document.externalId === 'a');
    expect(ofA.length).toBeLessThanOrEqual(3);
    const free = await found('leave', { topK: 12, rank: { perDocument: 0 } });
    expect(free.filter(({ document }) => document.externalId === 'a')).toHaveLength(6);
    const one = await found('leave', { topK: 4, rank: { perDocument: 1 } });
    expect(named(one).sort()).toEqual(['a', 'b', 'c', 'd']);
    expect(one.reduce((sum, { signals }) => sum + (signals['heldBack'] ?? 0), 0)).toBeGreaterThan(0);
  });

  it('are all there are when no other matches', async () => {
    await publish({ a: parts('sickness', 6), b: 'A railway ticket is booked by the office.' });
    expect(named(await found('leave', { topK: 6 }))).toEqual(Array.from({ length: 6 }, () => 'a'));
  });
});

const section = (name: string) => `# ${name}\n\n${`What is told of ${name} is told here. `.repeat(25)}`;

describe('neighbouring text', () => {
  const content = ['alpha', 'beta', 'gamma', 'delta'].map(section).join('\n\n');

  it('is given along on request, and ends where the document does', async () => {
    await publish({ letters: content });
    const [beta] = await found('beta', { topK: 1, expand: 1 });
    expect(beta?.text).toContain('told of beta');
    expect(beta?.text).not.toContain('alpha');
    expect(beta?.before).toMatch(/^alpha[^]*told of alpha/);
    expect(beta?.after).toMatch(/told of gamma/);
    expect(beta?.after).not.toContain('delta');
    const [all] = await found('beta', { topK: 1, expand: 3 });
    expect(all?.after).toMatch(/gamma[^]*delta/);
    const [first] = await found('alpha', { topK: 1, expand: 1 });
    expect(first?.before).toBe('');
  });

  it('is not there where it was not asked for', async () => {
    await publish({ letters: content });
    const [beta] = await found('beta', { topK: 1 });
    expect(beta).not.toHaveProperty('before');
    expect(beta).not.toHaveProperty('after');
  });
});

const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString();

it('newer documents are preferred where that is wished for, and the signals say how new each is', async () => {
  const sentence = 'The rules of leave are told';
  await publish(
    { old: `${sentence}. Leave, leave.`, young: `${sentence} by somebody else in other words, and more of it.` },
    { old: { sourceUpdatedAt: daysAgo(1000) }, young: { sourceUpdatedAt: daysAgo(10) } },
  );
  const plain = await found('rules of leave');
  expect([named(plain)[0], plain[0]?.signals['recency']]).toEqual(['old', null]);
  const preferred = await found('rules of leave', { recency: { halfLifeDays: 100, weight: 2 } });
  expect(named(preferred)).toEqual(['young', 'old']);
  expect(preferred[0]?.signals['recency']).toBeCloseTo(2 ** -0.1, 3);
  expect(preferred[1]?.signals['recency']).toBeCloseTo(2 ** -10, 3);
});

it.each([
  [{ rank: { fusion: 'rrf' } }, 'rank.fusion'],
  [{ rank: { perDocument: -1 } }, 'rank.perDocument'],
  [{ rank: { perDocument: 2.5 } }, 'rank.perDocument'],
  [{ rank: { dropDuplicates: 'no' } }, 'rank.dropDuplicates'],
  [{ rank: [] }, 'rank'],
  [{ recency: { weight: 0.5 } }, 'recency.halfLifeDays'],
  [{ recency: { halfLifeDays: 0, weight: 0.5 } }, 'recency.halfLifeDays'],
  [{ recency: { halfLifeDays: 10, weight: 11 } }, 'recency.weight'],
  [{ expand: 4 }, 'expand'],
  [{ expand: 0.5 }, 'expand'],
])('a step that makes no sense is refused: %j', async (wish, field) => {
  const answer = await library.call('POST', '/search', { body: { query: 'leave', ...wish } });
  expect(answer).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
  expect(answer.body.errors.map((error: { field: string }) => error.field)).toContain(field);
});
