import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BlobStore } from '../../src/platform/blobs.js';
import { DiskBlobs } from '../../src/platform/disk-blobs.js';

interface Opened {
  store: BlobStore;
  /** How many files or objects there are, half-written ones included. */
  count(): Promise<number>;
  close(): Promise<void>;
}

async function disk(): Promise<Opened> {
  const folder = await mkdtemp(join(tmpdir(), 'lectern-blobs-'));
  return {
    store: new DiskBlobs(folder),
    count: async () =>
      (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).length,
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const megabyte = 1024 * 1024;

/** Every blob engine passes this suite. */
describe.each([{ engine: 'disk', open: disk }])('blobs on $engine', ({ open }) => {
  let opened: Opened;
  let store: BlobStore;
  const tenant = randomUUID();

  beforeEach(async () => {
    opened = await open();
    ({ store } = opened);
  });
  afterEach(() => opened.close());

  const put = (bytes: Uint8Array, owner = tenant) => store.put(owner, Readable.from([bytes]), 8 * megabyte);
  const get = async (hash: string, owner = tenant) => buffer(await store.get(owner, hash));

  it.each([0, 1, 70_000, 3 * megabyte])('what was put is got, under its hash: %i bytes', async (size) => {
    const bytes = randomBytes(size);
    expect(await put(bytes)).toEqual({ hash: sha256(bytes), size });
    // By hash: comparing megabytes element by element takes the test runner half a minute.
    expect(sha256(await get(sha256(bytes)))).toBe(sha256(bytes));
    expect(sha256(await store.asFile(tenant, sha256(bytes), (path) => readFile(path)))).toBe(sha256(bytes));
    expect([await store.has(tenant, sha256(bytes)), await store.has(randomUUID(), sha256(bytes))]).toEqual([
      true,
      false,
    ]);
  });

  it('the same bytes twice are one blob, also when both come at once', async () => {
    const bytes = randomBytes(100_000);
    await Promise.all([put(bytes), put(bytes), put(bytes)]);
    expect(await opened.count()).toBe(1);
    expect(await get(sha256(bytes))).toEqual(bytes);
  });

  it('the same bytes of two tenants are two blobs: removing one leaves the other', async () => {
    const bytes = randomBytes(1000);
    const other = randomUUID();
    await put(bytes);
    await put(bytes, other);
    await store.remove(tenant, sha256(bytes));
    await expect(get(sha256(bytes))).rejects.toThrow(/./);
    expect(await get(sha256(bytes), other)).toEqual(bytes);
  });

  it('a blob of another tenant is not there', async () => {
    const { hash } = await put(randomBytes(1000));
    await expect(get(hash, randomUUID())).rejects.toThrow(/./);
  });

  it('what is too large is refused and leaves nothing', async () => {
    const exact = await store.put(tenant, Readable.from([randomBytes(1000)]), 1000);
    expect(exact.size).toBe(1000);
    await store.remove(tenant, exact.hash);
    await expect(store.put(tenant, Readable.from([randomBytes(600), randomBytes(401)]), 1000)).rejects.toMatchObject({
      code: 'payload_too_large',
    });
    expect(await opened.count()).toBe(0);
  });

  it('an upload that breaks off leaves nothing', async () => {
    const broken = Readable.from(
      (function* () {
        yield randomBytes(200_000);
        throw new Error('the connection was lost');
      })(),
    );
    await expect(store.put(tenant, broken, megabyte)).rejects.toThrow('the connection was lost');
    expect(await opened.count()).toBe(0);
  });

  it('removing what is not there is no error, getting it is one', async () => {
    const hash = sha256(randomBytes(10));
    await store.remove(tenant, hash);
    await expect(store.get(tenant, hash)).rejects.toThrow(/./);
  });

  it('says that it can be written to', async () => {
    await expect(store.check()).resolves.toBeUndefined();
  });
});
