import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
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

const text = (externalId: string, content: string, more: object = {}) => ({ externalId, content, ...more });
const begin = async (): Promise<string> => (await library.call('POST', '/syncs')).body.id;
const sync = async (id: string) => (await library.call('GET', `/syncs/${id}`)).body;
const commit = (id: string, body: object = {}) => library.call('POST', `/syncs/${id}/commit`, { body });
const abort = (id: string) => library.call('POST', `/syncs/${id}/abort`);
const settled = async (id: string, body: object = {}) => {
  expect((await commit(id, body)).status).toBe(202);
  await service.settle();
  return sync(id);
};
const bare = (id: string) => id.slice(id.indexOf('_') + 1);
const revisions = async (documentId: string) => {
  const sql = 'select status from revision where document_id = $1 order by number';
  const found = await service.database().asOwner((tx) => tx.rows<{ status: string }>(sql, [bare(documentId)]));
  return found.map(({ status }) => status);
};
/** What was told of a sync that came to nothing. */
const failures = async (id: string) =>
  (await service.call('GET', '/v1/events?limit=50')).body.data
    .filter(
      ({ type, data }: { type: string; data: { syncId?: string } }) => type === 'sync.failed' && data.syncId === id,
    )
    .map(({ data }: { data: object }) => data);
const everything = async () => (await library.finds('text')).toSorted();

// As many as one answer shows. 1,000 take minutes: for a run by hand.
const size = Number(process.env['SYNC_DOCUMENTS'] ?? 20);

describe('a sync', () => {
  it('becomes one version when it is committed, and nothing of it is found before', async () => {
    await library.publish(text('old', 'Text of old.'));
    const id = await begin();
    expect(await sync(id)).toMatchObject({ status: 'open', documents: 0, version: null, outcome: null });
    for (const name of ['one', 'two', 'three'])
      expect((await library.upload(text(name, `Text of ${name}.`, { syncId: id }))).status).toBe(202);
    expect((await library.upload(text('old', 'Text of old, now new.', { syncId: id }))).status).toBe(202);
    await service.settle();
    expect(await library.activeVersion()).toBe(1);
    expect(await everything()).toEqual(['old']);
    expect(await settled(id)).toMatchObject({
      status: 'completed',
      documents: 4,
      version: 2,
      outcome: { published: 4, unpublished: 0, unchanged: 0, failed: 0, overtaken: 0 },
    });
    expect(await library.activeVersion()).toBe(2);
    expect(await everything()).toEqual(['old', 'one', 'three', 'two']);
    expect((await library.call('GET', '/versions/2')).body).toMatchObject({ cause: { kind: 'sync', syncId: id } });
    const told = (await service.call('GET', '/v1/events?limit=50')).body.data.filter(
      ({ data }: { data: { syncId?: string } }) => data.syncId === id,
    );
    expect(told).toMatchObject([{ type: 'sync.completed', data: { version: 2, published: 4 } }]);
    expect((await commit(id)).body).toMatchObject({ status: 'completed', version: 2 });
  });

  it(
    `of ${size} documents is there at once or not at all, for a reader who never stops looking`,
    async () => {
      const seen = new Set<string>();
      let looks = 0;
      const look = async () => {
        const search = { topK: 50, mode: 'keyword', rank: { perDocument: 0, dropDuplicates: false } };
        // Of more than are shown another one leads each time.
        const { version, results } = await library.search(`tide table ${looks++ % size}`, search);
        const said = results.map(({ text: passage }: { text: string }) => /spring|autumn/.exec(passage)?.[0]);
        seen.add(`${version}: ${results.length} of ${[...new Set(said)].join(' and ')}`);
      };
      for (const [version, season] of [
        [1, 'spring'],
        [2, 'autumn'],
      ]) {
        const id = await begin();
        for (let number = 0; number < size; number++)
          await library.upload(text(`d${number}`, `Tide table ${number} of ${season}.`, { syncId: id }));
        await service.settle();
        const stop = new AbortController();
        const reading = (async () => {
          // With room between for what is written, which waits for whoever asks.
          while (!stop.signal.aborted) await Promise.all([look(), pause(150)]);
        })();
        const ended = await settled(id).finally(() => stop.abort());
        await reading;
        await look();
        expect(ended).toMatchObject({ version, outcome: { published: size } });
      }
      const shown = Math.min(size, 50);
      expect([...seen].toSorted()).toEqual(['0: 0 of ', `1: ${shown} of spring`, `2: ${shown} of autumn`]);
      expect(looks).toBeGreaterThan(4);
      expect((await library.call('GET', '/versions/2')).body.stats).toEqual({ documents: size, chunks: size });
    },
    60_000 + 500 * size,
  );

  it('is committed while its documents are still being read: the version comes when all of them are', async () => {
    const id = await begin();
    await library.upload(text('one', 'Text of one.', { syncId: id }));
    expect((await commit(id)).body.status).toBe('committing');
    expect((await library.upload(text('late', 'Text that is late.', { syncId: id }))).body).toMatchObject({
      code: 'conflict',
    });
    await service.settle();
    expect(await sync(id)).toMatchObject({ status: 'completed', version: 1, outcome: { published: 1 } });
    expect(await everything()).toEqual(['one']);
  });

  it('unpublishes what it did not name when that is asked for, but not what came from outside it meanwhile', async () => {
    for (const name of ['stays', 'same', 'goes', 'again']) await library.publish(text(name, `Text of ${name}.`));
    const id = await begin();
    expect((await library.upload(text('again', 'Text of again.'))).body.unchanged).toBe(true);
    await library.upload(text('stays', 'Text of what stays, edited.', { syncId: id }));
    const { body } = await library.upload(text('same', 'Text of same.', { syncId: id }));
    expect(body.unchanged).toBe(true);
    await library.publish(text('outside', 'Text from outside.'));
    expect(await everything()).toEqual(['again', 'goes', 'outside', 'same', 'stays']);
    expect(await settled(id, { deleteMissing: true })).toMatchObject({
      outcome: { published: 1, unpublished: 1, unchanged: 1 },
    });
    expect(await everything()).toEqual(['again', 'outside', 'same', 'stays']);
    await library.activate(5);
    expect(await everything()).toEqual(['again', 'goes', 'outside', 'same', 'stays']);
  });

  it('does not unpublish what whoever commits it may not see', async () => {
    const access = { visibility: 'restricted', allow: ['group:hr'] };
    await library.publish(text('hidden', 'Text that is hidden.', { access }));
    await library.publish(text('open', 'Text that is open.'));
    const { key } = (await service.call('POST', '/v1/api-keys', { body: { name: 'cms', scopes: ['documents:write'] } }))
      .body;
    const id = (await library.call('POST', '/syncs', { key })).body.id;
    await library.call('POST', `/syncs/${id}/commit`, { body: { deleteMissing: true }, key });
    await service.settle();
    expect(await everything()).toEqual(['hidden']);
  });

  it('leaves nothing behind when it is aborted, and what was served goes on', async () => {
    const { id: old } = await library.publish(text('old', 'Text of old.'));
    const id = await begin();
    await library.upload(text('old', 'Text of old, edited.', { syncId: id, title: 'Edited' }));
    const { body: made } = await library.upload(text('new', 'Text of new.', { syncId: id }));
    await service.settle();
    expect(await abort(id)).toMatchObject({ status: 200, body: { status: 'aborted' } });
    await service.settle();
    expect(await library.activeVersion()).toBe(1);
    expect(await library.says('text old')).toBe('Text of old.');
    expect(await library.get(old)).toMatchObject({ status: 'ready', revision: { number: 1 } });
    expect((await library.call('GET', `/documents/${made.id}`)).status).toBe(404);
    expect((await commit(id)).body).toMatchObject({ code: 'conflict' });
    expect(await failures(id)).toMatchObject([{ reason: 'aborted' }]);
    // The same bytes again are read again, and those that are served are not.
    expect((await library.upload(text('old', 'Text of old.'))).body.unchanged).toBe(true);
    expect((await library.upload(text('old', 'Text of old, edited.'))).status).toBe(202);
  });

  it('expires when nobody has uploaded to it for long', async () => {
    const { id: old } = await library.publish(text('old', 'Text of old.'));
    const [forgotten, young] = [await begin(), await begin()];
    await library.upload(text('old', 'Text of old, edited.', { syncId: forgotten }));
    const { body: made } = await library.upload(text('new', 'Text of new.', { syncId: forgotten }));
    await library.upload(text('other', 'Text of other.', { syncId: young }));
    const age = (hours: number) =>
      service.database().asOwner(async (tx) => {
        const since = `created_at = now() - make_interval(hours => $1)`;
        await tx.run(`update sync set ${since} where id = any($2)`, [hours, [bare(forgotten), bare(young)]]);
        await tx.run(`update sync_document set ${since} where sync_id = $2`, [hours, bare(forgotten)]);
      });
    const statuses = async () => [(await sync(forgotten)).status, (await sync(young)).status];
    await age(23);
    await service.settle();
    expect(await statuses()).toEqual(['open', 'open']);
    await age(25);
    await service.settle();
    expect(await statuses()).toEqual(['expired', 'open']);
    expect(await failures(forgotten)).toMatchObject([{ reason: 'expired', knowledgeBaseId: library.base }]);
    expect(await failures(young)).toEqual([]);
    // Of what only the sync had made, nothing is left.
    expect([await revisions(old), await revisions(made.id)]).toEqual([['ready', 'superseded'], []]);
    expect((await library.call('GET', `/documents/${made.id}`)).status).toBe(404);
    expect((await library.list('?externalId=new')).data).toEqual([]);
    expect(await library.get(old)).toMatchObject({ status: 'ready', revision: { number: 1 } });
    expect(await everything()).toEqual(['old']);
    expect((await commit(forgotten)).body).toMatchObject({ code: 'conflict' });
    expect(await settled(young)).toMatchObject({ status: 'completed', outcome: { published: 1 } });
    expect(await everything()).toEqual(['old', 'other']);
  });

  it('holds details back too, of bytes that are served already as of new ones', async () => {
    const { id: same } = await library.publish(text('same', '# Found\n\nText of same.', { title: 'Before' }));
    const { id: found } = await library.publish(text('found', '# Found before\n\nText of found.'));
    const id = await begin();
    await library.upload(text('same', '# Found\n\nText of same.', { syncId: id, title: 'After' }));
    await library.upload(
      text('found', '# Found after\n\nText of found, edited.', { syncId: id, contentType: 'text/markdown' }),
    );
    await service.settle();
    expect((await library.get(same)).title).toBe('Before');
    const before = (await library.get(found)).title;
    await settled(id);
    expect((await library.get(same)).title).toBe('After');
    expect([before, (await library.get(found)).title]).toEqual([before, 'Found after']);
    expect(before).not.toBe('Found after');
  });

  it('keeps what was served of a document that cannot be read, and says so', async () => {
    await library.publish(text('bad', 'Text of bad.'));
    const id = await begin();
    await library.upload(text('bad', '', { syncId: id }));
    await library.upload(text('good', 'Text of good.', { syncId: id }));
    expect(await settled(id, { deleteMissing: true })).toMatchObject({
      status: 'completed',
      outcome: { published: 1, unpublished: 0, failed: 1 },
    });
    expect(await everything()).toEqual(['bad', 'good']);
  });

  it('gives way to what came later from outside, and does not stand in the way of it', async () => {
    await library.publish(text('both', 'Text before both.'));
    const id = await begin();
    await library.upload(text('both', 'Text from the sync.', { syncId: id }));
    await library.upload(text('both', 'Text from outside.'));
    await service.settle();
    expect(await library.says('text')).toBe('Text from outside.');
    expect(await settled(id)).toMatchObject({ version: null, outcome: { published: 0, overtaken: 1 } });
    expect(await library.says('text')).toBe('Text from outside.');
  });

  it('does not overtake what came from outside before it, until it commits', async () => {
    const id = await begin();
    await library.upload(text('both', 'Text from outside.'));
    await library.upload(text('both', 'Text from the sync.', { syncId: id }));
    await service.settle();
    expect(await library.says('text')).toBe('Text from outside.');
    await settled(id);
    expect(await library.says('text')).toBe('Text from the sync.');
  });

  it('that changes nothing makes no version', async () => {
    await library.publish(text('same', 'Text of same.'));
    const id = await begin();
    await library.upload(text('same', 'Text of same.', { syncId: id }));
    expect(await settled(id, { deleteMissing: true })).toMatchObject({ status: 'completed', version: null });
    expect(await library.activeVersion()).toBe(1);
  });

  it('belongs to its base', async () => {
    const id = await begin();
    const other = await openLibrary(service);
    expect((await other.upload(text('one', 'Text of one.', { syncId: id }))).status).toBe(404);
    expect((await other.call('GET', `/syncs/${id}`)).status).toBe(404);
    expect((await library.upload(text('one', 'Text of one.', { syncId: 'sync_x' }))).status).toBe(404);
    expect((await library.call('GET', '/syncs')).body.data).toMatchObject([{ id }]);
  });
});
