import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeToken } from './callers.js';
import { type Service, joinService } from './harness.js';
import { type Library, openLibrary } from './library.js';

let service: Service;
let library: Library;
const ids: Record<string, string> = {};

const board = { visibility: 'restricted', allow: ['group:board'] };
/** No two of them are alike, and those with more of it come first. */
const about = (word: string, times: number) =>
  Array.from({ length: times }, (_, n) => `Something is said about ${word} in place ${times} of ${n}.`).join(' ');

beforeAll(async () => {
  service = await joinService();
  library = await openLibrary(service);
  const upload = async (externalId: string, content: string, more: Record<string, unknown> = {}) => {
    ids[externalId] = (await library.upload({ externalId, title: externalId, content, ...more })).body.id;
  };
  for (let n = 0; n < 6; n++) await upload(`leave-${n}`, about('leave', 12 - 2 * n), { metadata: { n } });
  await upload('trains', 'A railway ticket is booked by the office.');
  await upload('secret', about('leave', 20), { access: board });
  await upload('gone', about('leave', 30));
  await upload('copy', `${about('leave', 12)}!`);
  await upload('withdrawn', about('leave', 40));
  await service.settle();
  await library.call('DELETE', `/documents/${ids['gone']}`);
  await library.call('POST', `/documents/${ids['withdrawn']}/unpublish`);
  await service.settle();
});
afterAll(() => service.stop());

const explained = async (wish: Record<string, unknown>, key?: string) =>
  library.search('leave', { mode: 'keyword', explain: true, ...wish }, key === undefined ? {} : { key });

/** What is said of a document, by its external id, or by any other text for an id. */
const whereIs = async (name: string, wish: Record<string, unknown> = {}, key?: string) => {
  const { explanation } = await explained({ documentId: ids[name] ?? name, ...wish }, key);
  return explanation;
};

describe('an explained result', () => {
  it.each(['hybrid', 'keyword', 'semantic'])('says what its score is the sum of: %s', async (mode) => {
    const recency = { halfLifeDays: 30, weight: 0.2 };
    const { results } = await library.search('leave of "something is said"', { mode, explain: true, recency });
    expect(results.length).toBeGreaterThan(3);
    for (const { score, explanation } of results) {
      const parts = Object.values<number>(explanation.parts);
      expect(parts.reduce((sum, part) => sum + part, 0)).toBeCloseTo(score, 9);
      expect(explanation.parts.recency).toBeGreaterThan(0);
    }
  });

  it('is explained only where that is asked for', async () => {
    const { results, ...answer } = await library.search('leave');
    expect(results[0]).not.toHaveProperty('explanation');
    expect(answer).not.toHaveProperty('explanation');
  });
});

const page = (n: number) => `# Part ${n}\n\n${`Leave is granted by rules of part ${n}. `.repeat(24)}`;

describe('a document is told', () => {
  it('to be in the list', async () => {
    expect(await whereIs('leave-2', { topK: 5 })).toMatchObject({ documentId: ids['leave-2'], reason: 'listed' });
  });

  it('to rank below the list, with the rank of its best passage among all', async () => {
    const all = { topK: 50, rank: { dropDuplicates: false, perDocument: 0 } };
    const { results } = await explained(all, await makeToken(service, service.key, { groups: ['board'] }));
    const order: string[] = results.map(({ document }: { document: { externalId: string } }) => document.externalId);
    expect(order).toContain('secret');
    expect(await whereIs('leave-5', { topK: 2 })).toEqual({
      documentId: ids['leave-5'],
      reason: 'ranked_below',
      rank: order.indexOf('leave-5') + 1,
    });
  });

  it('to say nearly what another one says that ranks above it', async () => {
    expect(await whereIs('copy')).toMatchObject({ reason: 'duplicate' });
  });

  it('to hold nothing of the question', async () => {
    expect(await whereIs('trains')).toMatchObject({ reason: 'not_matched', rank: null });
  });

  it('to be filtered out', async () => {
    const filter = { field: 'metadata.n', eq: 1 };
    expect(await whereIs('leave-2', { filter })).toMatchObject({ reason: 'filtered', rank: null });
    expect(await whereIs('leave-1', { filter })).toMatchObject({ reason: 'listed', rank: 1 });
  });

  it('not to stand in the version', async () => {
    expect(await whereIs('withdrawn')).toMatchObject({ reason: 'not_in_version', rank: null });
    const late = await library.publish({ externalId: 'late', content: about('leave', 9) });
    const version = (await library.activeVersion()) - 1;
    expect(await whereIs(late.id)).toMatchObject({ reason: 'listed' });
    expect(await whereIs(late.id, { version })).toMatchObject({ reason: 'not_in_version' });
    await library.call('DELETE', `/documents/${late.id}`);
  });

  it('to be unknown when it is: never there, deleted, of another base, or no id at all', async () => {
    const other = await openLibrary(service);
    const elsewhere = await other.publish({ content: 'Leave.' });
    for (const id of ['doc_019c0000-0000-7000-8000-000000000000', 'gone', elsewhere.id, 'nonsense', "doc_' or true"])
      expect(await whereIs(id)).toEqual({ documentId: ids[id] ?? id, reason: 'unknown', rank: null });
  });

  it('to be unknown in a base where nothing was ever published, or to be on its way', async () => {
    const fresh = await openLibrary(service);
    const { body } = await fresh.upload({ content: 'Leave.' });
    const asked = (documentId: string) => fresh.search('leave', { explain: true, documentId });
    expect(await asked(body.id)).toMatchObject({ explanation: { reason: 'not_in_version' }, results: [] });
    expect(await asked('doc_x')).toMatchObject({ explanation: { reason: 'unknown' } });
  });

  it('to rank far below what is rescored, exactly', async () => {
    const long = await openLibrary(service);
    await long.publish({ externalId: 'long', content: Array.from({ length: 240 }, (_, n) => page(n)).join('\n\n') });
    const last = await long.publish({ content: `Of leave. ${'Much else is told as well in this one. '.repeat(18)}` });
    const { stats } = (await long.call('GET', `/versions/${await long.activeVersion()}`)).body;
    const answer = await long.search('leave granted by rules', {
      mode: 'keyword',
      explain: true,
      documentId: last.id,
    });
    expect(stats.chunks).toBeGreaterThan(210);
    expect(answer.explanation).toEqual({ documentId: last.id, reason: 'ranked_below', rank: stats.chunks });
  });
});

describe('what a caller may not see', () => {
  it('is as unknown as what is not there, to the letter', async () => {
    const ada = await makeToken(service, service.key, { scopes: ['search'] });
    const absent = 'doc_019c0000-0000-7000-8000-000000000000';
    const masked = async (id: string) => JSON.stringify(await whereIs(id, {}, ada)).replace(ids[id] ?? id, '');
    expect(await masked('secret')).toBe(await masked(absent));
    expect(await whereIs('leave-0', {}, ada)).toMatchObject({ reason: 'listed' });
  });

  it('is told to be not permitted to whoever may read everything and asks for somebody else', async () => {
    expect(await whereIs('secret', { as: { subject: 'ada' } })).toMatchObject({ reason: 'not_permitted', rank: null });
    expect(await whereIs('secret', { as: { subject: 'ada', groups: ['board'] } })).toMatchObject({ reason: 'listed' });
    const { results } = await explained({ as: { subject: 'ada' }, topK: 50 });
    expect(JSON.stringify(results)).not.toContain(ids['secret']);
  });

  it('is not to be had by asking for somebody else without that scope', async () => {
    const ada = await makeToken(service, service.key, { scopes: ['search'] });
    const body = { query: 'leave', explain: true, as: { groups: ['board'] } };
    expect(await library.call('POST', '/search', { key: ada, body })).toMatchObject({
      status: 403,
      body: { code: 'forbidden' },
    });
  });
});

it.each([
  [{ documentId: 'doc_x' }, 'documentId'],
  [{ as: { subject: 'ada' } }, 'as'],
  [{ explain: 'yes' }, 'explain'],
  [{ explain: true, documentId: 7 }, 'documentId'],
  [{ explain: true, as: { scopes: ['admin'] } }, 'as.scopes'],
])('a wish to have it explained that makes no sense is refused: %j', async (wish, field) => {
  const answer = await library.call('POST', '/search', { body: { query: 'leave', ...wish } });
  expect(answer).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
  expect(answer.body.errors.map((error: { field: string }) => error.field)).toContain(field);
});
