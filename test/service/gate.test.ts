import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { gating, names, shuffled, subjects } from './gating.js';
import { type Service, joinService } from './harness.js';
import { type Library, openLibrary } from './library.js';

let service: Service;
let library: Library;

beforeAll(async () => {
  service = await joinService();
});
afterAll(() => service.stop());
beforeEach(async () => {
  library = await openLibrary(service);
});

const { ask, gated, syncOf, version, told, force, firstFor } = gating(() => ({ service, library }));

describe('golden questions', () => {
  it('are kept, listed and taken away', async () => {
    const made = await ask('When?', [{ externalId: 'a' }, { passage: 'at six' }], { principal: { groups: ['hr'] } });
    expect(made.body).toMatchObject({
      id: expect.stringMatching(/^gq_/),
      query: 'When?',
      expected: [{ externalId: 'a' }, { passage: 'at six' }],
      principal: { groups: ['hr'] },
    });
    const path = `/golden-questions/${made.body.id}`;
    expect((await library.call('GET', path)).body).toEqual(made.body);
    expect((await library.call('GET', '/golden-questions')).body).toEqual({ data: [made.body], nextCursor: null });
    expect((await library.call('DELETE', path)).status).toBe(204);
    expect((await library.call('GET', path)).status).toBe(404);
    expect((await library.call('DELETE', path)).status).toBe(404);
  });

  it.each([
    ['nothing to find', []],
    ['an expectation that says nothing', [{}]],
    ['an expectation that says two things', [{ externalId: 'a', passage: 'b' }]],
    ['an unknown field', [{ title: 'a' }]],
  ])('are refused with %s', async (_what, expected) => {
    expect(await ask('When?', expected)).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
  });

  it('come with thresholds that a base says, or the usual ones', async () => {
    const base = async () => (await library.call('GET', '')).body.gate;
    expect(await base()).toEqual({ maxDrop: 0.05, maxLost: null, rollback: null });
    const gate = { maxDrop: 0.2, maxLost: 1, rollback: { notFoundRise: 0.1 } };
    const changed = await library.call('PATCH', '', { body: { gate } });
    expect(changed).toMatchObject({ status: 200, body: { gate: { maxDrop: 0.2, maxLost: 1 } } });
    expect(await base()).toEqual({
      maxDrop: 0.2,
      maxLost: 1,
      rollback: { notFoundRise: 0.1, minAnswers: 20, hours: 24 },
    });
    expect(await library.call('PATCH', '', { body: { gate: { maxDrop: 2 } } })).toMatchObject({ status: 400 });
  });
});

describe('a gated base', () => {
  it('lets through what finds as much, with a report', async () => {
    await gated();
    const before = await library.activeVersion();
    const ended = await syncOf([{ externalId: 'new', content: 'Visitors sign their names at the door.' }]);
    expect(ended).toMatchObject({ status: 'completed', version: before + 1 });
    expect(await library.activeVersion()).toBe(before + 1);
    expect((await version(before + 1)).report).toMatchObject({
      against: before,
      questions: 4,
      before: 1,
      after: 1,
      lost: 0,
      blocked: false,
      worse: [],
    });
  });

  it('blocks a sync that has its text shuffled between documents, says which questions got worse, and serves on', async () => {
    await gated();
    const active = await library.activeVersion();
    const ended = await syncOf(shuffled);
    expect(ended).toMatchObject({ status: 'blocked', version: active + 1 });
    expect(await library.activeVersion()).toBe(active);
    for (const [name, , query] of subjects) expect(await firstFor(query)).toBe(name);
    const blocked = await version(active + 1);
    expect(blocked).toMatchObject({ status: 'blocked', activatedAt: null, report: { blocked: true, before: 1 } });
    expect(blocked.report.reason).toMatch(/found worse/);
    expect(blocked.report.worse).toHaveLength(4);
    for (const worse of blocked.report.worse) {
      expect(worse).toMatchObject({ before: 1, questionId: expect.stringMatching(/^gq_/) });
      expect(['ranked_below', 'not_matched', 'listed']).toContain(worse.why.reason);
      expect(worse.first).not.toBe(worse.why.documentId);
    }
    expect(await told('index.version.blocked')).toMatchObject([{ data: { version: active + 1, worse: 4 } }]);
    expect(await told('sync.failed')).toMatchObject([{ data: { reason: 'blocked', version: active + 1 } }]);
    expect(await library.activate(active + 1)).toMatchObject({ status: 409, body: { code: 'conflict' } });
  });

  it('takes what is published beside a blocked version, and a person who knows better brings that on top', async () => {
    await gated();
    const active = await library.activeVersion();
    const bad = await syncOf(shuffled.slice(0, 2));
    expect(bad.status).toBe('blocked');
    await library.publish({ externalId: 'new', content: 'Visitors sign their names at the door.' });
    expect(await library.activeVersion()).toBe(active + 2);
    const forced = await force(bad.version);
    expect(forced).toMatchObject({ status: 200, body: { number: active + 3, status: 'active', parent: active + 2 } });
    expect(await firstFor('Who signs at the door?')).toBe('new');
    expect((await library.call('GET', `/syncs/${bad.id}`)).body).toMatchObject({ status: 'completed' });
    expect(await library.says(subjects[1][2])).toContain('kitchen');
    expect(await firstFor(subjects[1][2])).toBe('leave');
    const list = (await library.list('?limit=50')).data;
    expect(list.map(({ status }: { status: string }) => status)).toEqual(list.map(() => 'ready'));
  });

  it('activates by force just what was built, when nothing came between', async () => {
    await gated();
    const bad = await syncOf(shuffled);
    expect(await force(bad.version)).toMatchObject({ status: 200, body: { number: bad.version, status: 'active' } });
    expect((await library.call('GET', `/syncs/${bad.id}`)).body).toMatchObject({ status: 'completed' });
    expect(await firstFor(subjects[1][2])).toBe('leave');
    expect((await library.activate(bad.version - 1)).status).toBe(200);
    expect(await firstFor(subjects[1][2])).toBe('kitchen');
  });

  it('blocks a single upload too, and takes the one that mends it', async () => {
    await gated();
    await ask(subjects[1][2], [{ passage: 'kitchen  closes\nat' }, { passage: 'the third floor' }]);
    await library.publish({ externalId: 'kitchen', title: 'kitchen', content: 'Nothing is known of this any more.' });
    expect(await library.says(subjects[1][2])).toContain('third floor');
    const blocked = (await library.activeVersion()) + 1;
    expect(await version(blocked)).toMatchObject({ status: 'blocked', cause: { kind: 'publish' } });
    await library.publish({ externalId: 'kitchen', title: 'kitchen', content: 'The kitchen closes at seven.' });
    expect(await library.says('When does the kitchen close?')).toContain('at seven');
    expect(await force(blocked)).toMatchObject({ status: 409, body: { code: 'conflict' } });
  });

  it('asks with the eyes of whom a question names', async () => {
    const access = { visibility: 'restricted', allow: ['group:hr'] };
    const { id: documentId } = await library.publish({
      externalId: 'pay',
      content: 'Salaries are paid on the tenth.',
      access,
    });
    await ask('When are salaries paid?', [{ documentId }], { principal: { groups: ['hr'] } });
    await ask('When are salaries paid?', [{ documentId }], { principal: { groups: ['sales'] } });
    const ended = await syncOf([{ externalId: 'door', content: 'The door is green.' }]);
    expect((await version(ended.version)).report).toMatchObject({ questions: 2, before: 0.5, after: 0.5 });
  });

  it('lets a sync that was blocked be given up', async () => {
    await gated();
    const bad = await syncOf([...shuffled, { externalId: 'extra', content: 'Something else.' }]);
    expect((await library.call('POST', `/syncs/${bad.id}/abort`)).body).toMatchObject({ status: 'aborted' });
    expect((await library.list('?externalId=extra')).data).toEqual([]);
    const list = (await library.list('?limit=50')).data;
    expect(list.map((one: { externalId: string }) => one.externalId).toSorted()).toEqual(names);
    expect(list.map(({ status }: { status: string }) => status)).toEqual(list.map(() => 'ready'));
    expect(await force(bad.version)).toMatchObject({ status: 410, body: { code: 'gone' } });
  });
});
