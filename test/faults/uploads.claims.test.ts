import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Orphans } from '../../src/ingestion/orphans.js';
import { BlobClaims } from '../../src/platform/blob-claims.js';
import { BlobStore } from '../../src/platform/blobs.js';
import type { Database } from '../../src/platform/database.js';
import { makeTenant } from '../service/callers.js';
import { type Service, joinService } from '../service/harness.js';
import { openLibrary } from '../service/library.js';

let service: Service;
let scope: { tenantId: string };

beforeAll(async () => {
  service = await joinService();
  scope = { tenantId: (await makeTenant(service)).uuid };
});
afterAll(() => service.stop());

/** A promise, and what fulfils it. */
function gate() {
  const opener = new EventEmitter();
  return { opened: once(opener, 'open').then(() => undefined), open: () => opener.emit('open') };
}

const stage = (words: string) => service.part(BlobStore).stage(Readable.from([words]), 1000);
const read = async (hash: string) => text(await service.part(BlobStore).get(scope.tenantId, hash));
const unneeded = async () => false;

const tomorrow = () => new Date(Date.now() + 24 * 3_600_000);
const blobs = async () => (await service.part(BlobStore).list(null, 1000)).map(({ hash }) => hash);

/** The service's own store, but that a removal stands still until `until` at its very beginning. */
function removingAfter(until: Promise<void>) {
  const store = service.part(BlobStore);
  const reached = gate();
  const slow: BlobStore = Object.assign(Object.create(store) as BlobStore, {
    remove: async (tenantId: string, hash: string) => {
      reached.open();
      await until;
      await store.remove(tenantId, hash);
    },
  });
  return { claims: new BlobClaims(service.database(), slow), reached: reached.opened };
}

describe('bytes that are removed and stored at the same time', () => {
  it('are there for whoever needs them: storing waits until the removal is done', async () => {
    const staged = await stage('removed first');
    await service.part(BlobClaims).keep(scope, staged, async () => undefined);
    const { opened, open } = gate();
    const { claims, reached } = removingAfter(opened);
    const removal = claims.remove(scope, staged.hash, unneeded);
    await reached;
    const database = service.database();
    const asked = gate();
    let transactions = 0;
    const watched: Database = Object.assign(Object.create(database) as Database, {
      as: (...parameters: Parameters<Database['as']>) => {
        if (++transactions === 2) asked.open();
        return database.as(...parameters);
      },
    });
    const kept = new BlobClaims(watched, service.part(BlobStore)).keep(
      scope,
      await stage('removed first'),
      async () => 'rows made',
    );
    await asked.opened;
    open();
    expect(await Promise.all([removal, kept])).toEqual(['gone', 'rows made']);
    expect(await read(staged.hash)).toBe('removed first');
  });

  it('are not removed while somebody stores them, although no row needs them yet', async () => {
    const staged = await stage('stored first');
    const { opened, open } = gate();
    const reached = gate();
    const store = service.part(BlobStore);
    const slow: BlobStore = Object.assign(Object.create(store) as BlobStore, {
      keep: async (tenantId: string, what: typeof staged) => {
        await store.keep(tenantId, what);
        reached.open();
        await opened;
      },
    });
    const kept = new BlobClaims(service.database(), slow).keep(scope, staged, async () => 'rows made');
    await reached.opened;
    await service.part(BlobClaims).remove(scope, staged.hash, unneeded);
    open();
    expect(await kept).toBe('rows made');
    expect(await read(staged.hash)).toBe('stored first');
  });

  it('make no row when storing took so long that they may be gone again', async () => {
    const staged = await stage('too slow');
    const store = service.part(BlobStore);
    const slow: BlobStore = Object.assign(Object.create(store) as BlobStore, {
      keep: async (tenantId: string, what: typeof staged) => {
        await store.keep(tenantId, what);
        await service.database().asOwner((tx) => tx.run('update blob_claim set expires_at = now()'));
      },
    });
    let committed = false;
    const kept = new BlobClaims(service.database(), slow).keep(scope, staged, async () => (committed = true));
    await expect(kept).rejects.toMatchObject({ code: 'unavailable' });
    expect(committed).toBe(false);
  });

  it('are not kept from anybody by a process that died over them', async () => {
    const staged = await stage('left behind');
    await service.database().as(scope, (tx) =>
      tx.run(
        `insert into blob_claim (id, tenant_id, content_hash, kind, expires_at)
         select gen_random_uuid(), $1, $2, kind, now() - interval '1 second' from unnest('{keep,remove}'::text[]) kind`,
        [scope.tenantId, staged.hash],
      ),
    );
    await service.part(BlobClaims).keep(scope, staged, async () => undefined);
    await service.part(BlobClaims).remove(scope, staged.hash, unneeded);
    await expect(read(staged.hash)).rejects.toMatchObject({ code: 'gone' });
    await service.part(BlobClaims).forget();
    const count = await service.database().as(scope, (tx) => tx.rows('select 1 from blob_claim'));
    expect(count).toEqual([]);
  });
});

describe('bytes that nothing leads to', () => {
  it('are cleared away once they are a day old, and what a document needs is not', async () => {
    const library = await openLibrary(service);
    const document = await library.publish({ externalId: randomUUID(), content: 'Needed by a document.' });
    const lost = await stage('an upload that died between its bytes and its row');
    const died = service.part(BlobClaims).keep(scope, lost, () => Promise.reject(new Error('died')));
    await expect(died).rejects.toThrow('died');
    const staged = await stage('an upload that died on its way in');

    await service.settle();
    expect(await blobs()).toContain(lost.hash);
    await service.part(Orphans).clearBefore(tomorrow());
    expect(await blobs()).not.toContain(lost.hash);
    await expect(service.part(BlobStore).keep(scope.tenantId, staged)).rejects.toThrow(/./);
    const original = await library.call('GET', `/documents/${document.id}/content?format=original`);
    expect(original.text).toBe('Needed by a document.');
  });

  it('are found page by page, and each run takes one', async () => {
    const store = service.part(BlobStore);
    const left = async () =>
      (await store.list(null, 1000)).filter(({ tenantId }) => tenantId === scope.tenantId).length;
    for (let n = 0; n < 10; n++) await store.keep(scope.tenantId, await stage(`orphan ${n}`));
    const before = await left();
    await service.part(Orphans).clearBefore(tomorrow(), 4);
    expect(before - (await left())).toBeLessThanOrEqual(4);
    for (let pages = 0; pages < 10; pages++) await service.part(Orphans).clearBefore(tomorrow(), 4);
    expect(await left()).toBe(0);
  });
});
