import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Service, joinService, startService } from './harness.js';
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

const leave = (days: number) => ({ externalId: 'leave', content: `Every employee has ${days} days of annual leave.` });
const versions = async (query = '') => (await library.call('GET', `/versions${query}`)).body;
const stats = async () => (await versions()).data.map((version: { stats: object }) => version.stats);
const newest = async (limit: number) =>
  (await service.call('GET', `/v1/events?limit=${limit}`)).body.data.map(
    ({ type, data }: { type: string; data: object }) => ({ type, ...data }),
  );

const whole = (version: number, days: number) => `${version}: ${Array.from({ length: 8 }, () => days).join(' ')}`;

const tokenFor = async (groups: string[], scopes = ['search']): Promise<string> => {
  const body = { subject: 'ada', groups, scopes, ttlSeconds: 600 };
  return (await service.call('POST', '/v1/tokens', { body })).body.token;
};

describe('publishing', () => {
  it('gathers a burst of uploads in few versions', async () => {
    await Promise.all(
      Array.from({ length: 30 }, (_, n) => library.upload({ externalId: `d${n}`, content: `Text number ${n}.` })),
    );
    await service.settle();
    expect((await library.list('?status=ready&limit=100')).data).toHaveLength(30);
    expect(await library.activeVersion()).toBeLessThanOrEqual(3);
  });

  it('gives a base that goes on changing a version a second, and one that does not its version at once', async () => {
    const live = await startService();
    try {
      const own = await openLibrary(live);
      await live.work();
      const began = performance.now();
      const ids: string[] = [];
      for (let n = 0; n < 20; n++)
        ids.push((await own.upload({ externalId: `d${n}`, content: `Text number ${n}.` })).body.id);
      const ready = async () => (await own.list('?status=ready&limit=100')).data.length;
      await expect.poll(ready, { timeout: 50_000, interval: 250 }).toBe(ids.length);
      const seconds = (performance.now() - began) / 1000;
      expect(await own.activeVersion()).toBeLessThanOrEqual(3 + Math.ceil(seconds));
    } finally {
      await live.stop();
    }
  });

  it('gives each upload a version of its own where nothing else is going on', async () => {
    for (const days of [27, 28, 29]) {
      await library.publish(leave(days));
      expect(await library.activeVersion()).toBe(days - 26);
    }
  });

  it('makes no version of what changes nothing', async () => {
    const { id } = await library.publish(leave(27));
    for (let time = 0; time < 2; time++) {
      await library.call('POST', `/documents/${id}/unpublish`);
      await service.settle();
    }
    expect(await library.activeVersion()).toBe(2);
  });

  it('counts on from the version before, without what was cleared away since', async () => {
    const { id } = await library.publish(leave(27));
    await library.publish({ externalId: 'other', content: 'Trains come before planes.' });
    await library.publish(leave(30));
    const [two, one, none] = [2, 1, 0].map((count) => ({ documents: count, chunks: count }));
    expect(await stats()).toEqual([two, two, one, none]);
    await library.call('DELETE', `/documents/${id}`);
    await service.settle();
    expect(await stats()).toEqual([one, one, none, none]);
    await library.publish({ externalId: 'third', content: 'Expenses are paid in May.' });
    expect((await stats())[0]).toEqual(two);
  });

  it('lists each version with its cause, its size and its receipt', async () => {
    await library.publish(leave(27));
    const { id } = await library.publish({ externalId: 'other', content: 'Trains come before planes.' });
    await library.call('POST', `/documents/${id}/unpublish`);
    await service.settle();
    const { data } = await versions();
    expect(data).toMatchObject([
      {
        number: 3,
        parent: 2,
        status: 'active',
        cause: { kind: 'unpublish', unpublished: 1 },
        stats: { documents: 1, chunks: 1 },
      },
      {
        number: 2,
        parent: 1,
        status: 'ready',
        cause: { kind: 'publish', published: 1 },
        stats: { documents: 2, chunks: 2 },
        receipt: { chunks: { total: 1, embedded: 1 } },
      },
      { number: 1, parent: 0, status: 'ready', stats: { documents: 1, chunks: 1 } },
      { number: 0, parent: null, status: 'ready', cause: { kind: 'created' }, stats: { documents: 0, chunks: 0 } },
    ]);
    const first = await versions('?limit=2');
    expect([first.data.length, (await versions(`?limit=2&cursor=${first.nextCursor}`)).data[0].number]).toEqual([2, 1]);
  });
});

describe('activating an earlier version', () => {
  it('brings the old text back with one call, and the newer one back with another', async () => {
    const { id } = await library.publish(leave(27));
    await library.publish(leave(30));
    expect(await library.activate(1)).toMatchObject({ status: 200, body: { number: 1, status: 'active' } });
    expect(await library.says('annual leave')).toContain('27 days');
    expect(await library.get(id)).toMatchObject({ revision: { number: 2 }, activeRevision: { number: 1 } });
    expect((await library.call('GET', `/documents/${id}/content`)).body.text).toContain('27 days');
    await library.activate(2);
    expect(await library.says('annual leave')).toContain('30 days');
    expect(await library.says('annual leave')).not.toContain('27 days');
  });

  it('is told as a rollback, or as an activation when it goes forward', async () => {
    await library.publish(leave(27));
    await library.publish(leave(30));
    await library.activate(1);
    expect((await newest(1))[0]).toMatchObject({
      type: 'index.version.rolled_back',
      version: 1,
      previous: 2,
      knowledgeBaseId: library.base,
    });
    await library.activate(2);
    expect((await newest(1))[0]).toMatchObject({ type: 'index.version.activated', version: 2, previous: 1 });
    await library.activate(2);
    expect(await newest(2)).toMatchObject([{ version: 2 }, { version: 1 }]);
  });

  it('goes back to the empty version 0 too', async () => {
    await library.publish(leave(27));
    await library.activate(0);
    expect(await library.search('annual leave')).toMatchObject({ version: 0, results: [], degraded: [] });
    await library.publish({ externalId: 'other', content: 'Trains come before planes.' });
    expect(await library.finds('annual leave trains')).toEqual(['other']);
  });

  it('makes the next publish build on it, not on what was abandoned', async () => {
    await library.publish(leave(27));
    await library.publish(leave(30));
    await library.publish({ externalId: 'abandoned', content: 'Leave may be abandoned.' });
    await library.activate(1);
    await library.publish({ externalId: 'new', content: 'Leave is asked for in writing.' });
    expect((await library.call('GET', '/versions/4')).body).toMatchObject({
      parent: 1,
      status: 'active',
      stats: { documents: 2 },
    });
    expect((await library.finds('leave')).sort()).toEqual(['leave', 'new']);
    expect(await library.says('annual leave')).toContain('27 days');
    await library.activate(3);
    expect((await library.finds('leave')).sort()).toEqual(['abandoned', 'leave']);
    expect(await library.says('annual leave')).toContain('30 days');
  });

  it('keeps the permissions of today', async () => {
    const { id } = await library.publish(leave(27));
    await library.publish(leave(30));
    await library.call('PATCH', `/documents/${id}`, {
      body: { access: { visibility: 'restricted', allow: ['group:hr'] } },
    });
    await library.activate(1);
    expect(await library.finds('leave', {}, { key: await tokenFor([]) })).toEqual([]);
    expect(await library.finds('leave', {}, { key: await tokenFor(['hr']) })).toEqual(['leave']);
  });

  it('fails and mixes no search that is asked meanwhile, however often it happens', async () => {
    for (const days of [27, 30]) {
      const { id: syncId } = (await library.call('POST', '/syncs')).body;
      for (let rule = 0; rule < 8; rule++)
        await library.upload({ externalId: `r${rule}`, content: `Leave rule ${rule}: ${days} days.`, syncId });
      await library.call('POST', `/syncs/${syncId}/commit`, { body: {} });
      await service.settle();
    }
    const answers: string[] = [];
    const stop = new AbortController();
    const reading = (async () => {
      while (!stop.signal.aborted) {
        const { version, results } = await library.search('leave rule', {
          rank: { perDocument: 0, dropDuplicates: false },
        });
        const days = results.map(({ text: said }: { text: string }) => /(\d+) days/.exec(said)?.[1]);
        answers.push(`${version}: ${days.join(' ')}`);
      }
    })();
    for (const number of [1, 2, 1, 2, 1, 2, 1, 2, 1, 2]) {
      const before = answers.length;
      expect((await library.activate(number)).status).toBe(200);
      while (answers.length < before + 2) await new Promise((done) => setImmediate(done));
    }
    stop.abort();
    await reading;
    expect([...new Set(answers)].toSorted()).toEqual([whole(1, 27), whole(2, 30)]);
  });

  it('answers 404 for a version that never was, whatever the number looks like', async () => {
    for (const number of ['7', '-1', '1.5', 'x', '99999999999']) {
      expect((await library.call('POST', `/versions/${number}/activate`)).status).toBe(404);
    }
    expect((await library.call('GET', '/versions/7')).status).toBe(404);
  });
});

const text = (externalId: string, content: string) => ({ externalId, content });
const names = (list: { externalId: string }[]) => list?.map(({ externalId }) => externalId).toSorted();

const changes = async (way: string, key?: string) => {
  const { status, body } = await library.call('GET', `/versions/${way}`, { key });
  return { status, added: names(body.added), changed: names(body.changed), removed: names(body.removed) };
};

describe('comparing two versions', () => {
  it('lists what was added, changed and removed, either way', async () => {
    await library.publish(text('stays', 'It stays.'));
    await library.publish(text('edited', 'Before the edit.'));
    const { id } = await library.publish(text('goes', 'It goes.'));
    await library.publish(text('edited', 'After the edit.'));
    await library.call('POST', `/documents/${id}/unpublish`);
    await service.settle();
    await library.publish(text('comes', 'It comes.'));
    const way = { status: 200, added: ['comes'], changed: ['edited'], removed: ['goes'] };
    expect(await changes('3...6')).toEqual(way);
    expect(await changes('6...3')).toEqual({ ...way, added: way.removed, removed: way.added });
    expect(await changes('0...6')).toEqual({
      status: 200,
      added: ['comes', 'edited', 'stays'],
      changed: [],
      removed: [],
    });
    expect(await changes('4...4')).toEqual({ status: 200, added: [], changed: [], removed: [] });
    const { body } = await library.call('GET', '/versions/3...6?limit=2');
    const rest = (await library.call('GET', `/versions/3...6?limit=2&cursor=${body.nextCursor}`)).body;
    expect([rest.added.length + rest.changed.length + rest.removed.length, rest.nextCursor]).toEqual([1, null]);
  });

  it('goes back to where two ways parted, and forward again', async () => {
    await library.publish(text('one', 'One.'));
    await library.publish(text('two', 'Two.'));
    await library.activate(1);
    await library.publish(text('three', 'Three.'));
    expect(await changes('2...3')).toEqual({ status: 200, added: ['three'], changed: [], removed: ['two'] });
  });

  it('shows nothing of what the caller may not see, or what is deleted, and no version that never was', async () => {
    const { id } = await library.publish(text('deleted', 'Deleted soon.'));
    const hidden = { ...text('hidden', 'Of no concern.'), access: { visibility: 'restricted', allow: ['group:hr'] } };
    await library.publish(hidden);
    await library.call('DELETE', `/documents/${id}`);
    expect(await changes('0...2')).toEqual({ status: 200, added: ['hidden'], changed: [], removed: [] });
    const scopes = ['versions:look-back'];
    const { key } = (await service.call('POST', '/v1/api-keys', { body: { name: 'looks', scopes } })).body;
    expect(await changes('0...2', key)).toEqual({ status: 200, added: [], changed: [], removed: [] });
    for (const way of ['0...9', '1...', '...1', '1..2', '1...2...3', 'a...b'])
      expect((await library.call('GET', `/versions/${way}`)).status).toBe(404);
  });
});

const ask = (more: object, key?: string) => {
  const body = { knowledgeBases: [library.base], message: 'How many days of annual leave are there?', ...more };
  return service.call('POST', '/v1/chat', { body, key });
};

const nothing = { version: 1, outcome: 'not_found', citations: [] };

describe('looking back at a version', () => {
  it('answers as that version did, and only with the scope for it', async () => {
    await library.publish(leave(27));
    await library.publish(leave(30));
    expect(await library.says('annual leave', { version: 1 })).toContain('27 days');
    expect((await library.search('annual leave', { version: 1 })).version).toBe(1);
    expect((await library.search('annual leave')).version).toBe(2);
    const { key } = (await service.call('POST', '/v1/api-keys', { body: { name: 'asks', scopes: ['search'] } })).body;
    const asked = await library.call('POST', '/search', { body: { query: 'leave', version: 1 }, key });
    expect(asked).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect((await library.call('POST', '/search', { body: { query: 'leave', version: 9 } })).status).toBe(404);
  });

  it('chats as that version would have, of one base, and only with the scope for it', async () => {
    await library.publish(leave(27));
    await library.publish(leave(30));
    expect((await ask({})).body).toMatchObject({ version: 2, answer: expect.stringContaining('30 days') });
    expect((await ask({ version: 1 })).body).toMatchObject({ version: 1, answer: expect.stringContaining('27 days') });
    expect((await ask({ version: 9 })).status).toBe(404);
    const other = await openLibrary(service);
    expect((await ask({ version: 1, knowledgeBases: [library.base, other.base] })).status).toBe(400);
    const { key } = (await service.call('POST', '/v1/api-keys', { body: { name: 'asks', scopes: ['chat'] } })).body;
    expect((await ask({ version: 1 }, key)).status).toBe(403);
  });

  it('is under the permissions of today, whatever they were then', async () => {
    const { id } = await library.publish(leave(27));
    await library.publish(leave(30));
    const scopes = ['search', 'chat', 'versions:look-back'];
    const [outside, inside] = [await tokenFor([], scopes), await tokenFor(['hr'], scopes)];
    const told = { version: 1, outcome: 'answered', answer: expect.stringContaining('27 days') };
    expect((await ask({ version: 1 }, outside)).body).toMatchObject(told);
    const access = { visibility: 'restricted', allow: ['group:hr'] };
    await library.call('PATCH', `/documents/${id}`, { body: { access } });
    expect(await library.finds('leave', { version: 1 }, { key: outside })).toEqual([]);
    expect(await library.finds('leave', { version: 1 }, { key: inside })).toEqual(['leave']);
    expect((await ask({ version: 1 }, outside)).body).toMatchObject(nothing);
    expect((await ask({ version: 1 }, inside)).body).toMatchObject({ ...told, citations: [{ documentId: id }] });
  });

  it('does not show a document that was deleted since', async () => {
    const { id } = await library.publish(leave(27));
    await library.publish({ externalId: 'other', content: 'Trains come before planes.' });
    expect((await ask({ version: 1 })).body).toMatchObject({ citations: [{ documentId: id }] });
    await library.call('DELETE', `/documents/${id}`);
    expect(await library.finds('annual leave', { version: 1 })).toEqual([]);
    expect((await ask({ version: 1 })).body).toMatchObject(nothing);
    await service.settle();
    expect((await ask({ version: 1 })).body).toMatchObject(nothing);
  });
});
