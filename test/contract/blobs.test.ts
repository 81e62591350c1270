import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { CreateMultipartUploadCommand, ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readConfig, type S3Settings } from '../../src/config.js';
import type { BlobStore, ListedBlob } from '../../src/platform/blobs.js';
import { DiskBlobs } from '../../src/platform/disk-blobs.js';
import { S3Blobs } from '../../src/platform/s3-blobs.js';
import { Staging } from '../../src/platform/staging.js';
import { heldByBuffers } from '../held-memory.js';
import { standBefore, startS3 } from './s3-server.js';

interface Opened {
  store: BlobStore;
  /** How many files, objects and unfinished uploads there are. */
  count(): Promise<number>;
  /** Leaves what a process would that died in the middle of an upload. @returns how many things that are */
  abandon(): Promise<number>;
  staging: string;
  close(): Promise<void>;
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const megabyte = 1024 * 1024;
const inAnHour = () => new Date(Date.now() + 3_600_000);
const anHourAgo = () => new Date(Date.now() - 3_600_000);

const filesIn = async (folder: string) =>
  (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());

async function disk(): Promise<Opened> {
  const folder = await mkdtemp(join(tmpdir(), 'lectern-blobs-'));
  const store = new DiskBlobs(folder);
  return {
    store,
    count: async () => (await filesIn(folder)).length,
    abandon: async () => {
      await store.stage(Readable.from([randomBytes(10)]), 100);
      return 1;
    },
    staging: join(folder, 'incoming'),
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

let server: Awaited<ReturnType<typeof startS3>>;
let proxy: Awaited<ReturnType<typeof standBefore>>;

beforeAll(async () => {
  server = await startS3();
  proxy = await standBefore(server.env);
});
afterAll(async () => {
  await proxy.close();
  await server.stop();
});

function settings(env: Record<string, string>): S3Settings {
  const { s3 } = readConfig({ ...env, S3_PREFIX: `test/${randomUUID()}` });
  if (!s3) throw new Error('no S3 settings were read');
  return s3;
}

async function onS3(env = server.env): Promise<Opened> {
  const staging = await mkdtemp(join(tmpdir(), 'lectern-blobs-'));
  const about = settings(env);
  const store = new S3Blobs(about, new Staging(staging));
  const direct = new S3Client({
    endpoint: server.env['S3_ENDPOINT'],
    region: about.region,
    forcePathStyle: true,
    credentials: about,
  });
  const inBucket = { Bucket: about.bucket, Prefix: about.prefix };
  return {
    store,
    count: async () => {
      const { Uploads: uploads = [] } = await direct.send(new ListMultipartUploadsCommand(inBucket));
      return (await store.list(null, 1000)).length + uploads.length + (await filesIn(staging)).length;
    },
    abandon: async () => {
      await store.stage(Readable.from([randomBytes(10)]), 100);
      const key = `${about.prefix}${randomUUID()}/${sha256(randomBytes(10))}`;
      await direct.send(new CreateMultipartUploadCommand({ Bucket: about.bucket, Key: key }));
      return 2;
    },
    staging,
    close: () => rm(staging, { recursive: true, force: true }),
  };
}

/** A stream that fails before its first byte, this many turns of the event loop from now. */
function breaksOff(turns: number): Readable {
  const content = new Readable({ read: () => undefined });
  const turn = (left: number): unknown =>
    left > 0 ? setImmediate(() => turn(left - 1)) : content.destroy(new Error('broke off'));
  turn(turns);
  return content;
}

/** Every blob engine passes this suite. */
describe.each([
  { engine: 'disk', open: disk },
  { engine: 'S3', open: () => onS3() },
])('blobs on $engine', ({ open }) => {
  let opened: Opened;
  let store: BlobStore;
  const tenant = randomUUID();

  beforeEach(async () => {
    opened = await open();
    ({ store } = opened);
  });
  afterEach(() => opened.close());

  async function put(content: Uint8Array | Readable, owner = tenant) {
    const staged = await store.stage(content instanceof Readable ? content : Readable.from([content]), 256 * megabyte);
    await store.keep(owner, staged);
    await store.discard(staged);
    return staged;
  }
  const get = async (hash: string, owner = tenant) => buffer(await store.get(owner, hash));

  it.each([0, 1, 70_000, 3 * megabyte, 12 * megabyte])(
    'what was kept is got, under its hash: %i bytes',
    async (size) => {
      const bytes = randomBytes(size);
      expect(await put(bytes)).toMatchObject({ hash: sha256(bytes), size });
      // By hash: comparing megabytes element by element takes the test runner half a minute.
      expect(sha256(await get(sha256(bytes)))).toBe(sha256(bytes));
      expect(sha256(await store.asFile(tenant, sha256(bytes), (path) => readFile(path)))).toBe(sha256(bytes));
      expect(await opened.count()).toBe(1);
    },
  );

  it('the same bytes are one blob, also when ten come at once', async () => {
    const bytes = randomBytes(6 * megabyte);
    await Promise.all(Array.from({ length: 10 }, () => put(bytes)));
    expect(await opened.count()).toBe(1);
    expect(sha256(await get(sha256(bytes)))).toEqual(sha256(bytes));
  });

  it('the same bytes of two tenants are two blobs: removing one leaves the other', async () => {
    const bytes = randomBytes(1000);
    const other = randomUUID();
    await put(bytes);
    await put(bytes, other);
    await store.remove(tenant, sha256(bytes));
    await expect(get(sha256(bytes))).rejects.toMatchObject({ code: 'gone' });
    expect(await get(sha256(bytes), other)).toEqual(bytes);
  });

  it('a blob of another tenant is not there', async () => {
    const { hash } = await put(randomBytes(1000));
    await expect(get(hash, randomUUID())).rejects.toMatchObject({ code: 'gone' });
  });

  it('what is too large is refused and leaves nothing', async () => {
    const exact = await store.stage(Readable.from([randomBytes(1000)]), 1000);
    expect(exact.size).toBe(1000);
    await store.discard(exact);
    await expect(store.stage(Readable.from([randomBytes(600), randomBytes(401)]), 1000)).rejects.toMatchObject({
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
    await expect(store.stage(broken, megabyte)).rejects.toThrow('the connection was lost');
    expect(await opened.count()).toBe(0);
  });

  it('uploads that break off before their file is even there fail alone, and leave nothing', async () => {
    // An error that nobody listens for yet would end the process.
    const attempts = Array.from({ length: 300 }, (_, n) => store.stage(breaksOff(n % 20), megabyte));
    expect((await Promise.allSettled(attempts)).every(({ status }) => status === 'rejected')).toBe(true);
    await put(randomBytes(10)); // whatever file was still to be made is made before this one
    expect(await opened.count()).toBe(1);
  });

  it('what is staged is not stored until it is kept', async () => {
    const staged = await store.stage(Readable.from([randomBytes(1000)]), megabyte);
    await expect(get(staged.hash)).rejects.toMatchObject({ code: 'gone' });
    await store.discard(staged);
    expect(await opened.count()).toBe(0);
  });

  it('removing what is not there is no error, getting it is one', async () => {
    const hash = sha256(randomBytes(10));
    await store.remove(tenant, hash);
    await expect(store.get(tenant, hash)).rejects.toMatchObject({ code: 'gone' });
    await expect(store.asFile(tenant, hash, async () => 'read')).rejects.toMatchObject({ code: 'gone' });
  });

  it('100 MB go in and out without being held in memory', async () => {
    const size = 100 * megabyte;
    const before = heldByBuffers();
    let peak = before;
    // Each look collects garbage first: often enough to see what is held, and seldom enough to let it pass.
    let next = 0;
    const look = (passed: number) => {
      if (passed < next) return;
      peak = Math.max(peak, heldByBuffers());
      next = passed + 5 * megabyte;
    };
    const pieces = function* () {
      for (let sent = 0; sent < size; sent += 64 * 1024) {
        look(sent);
        yield Buffer.alloc(64 * 1024, sent / 65_536);
      }
    };
    const { hash } = await put(Readable.from(pieces()));
    const read = createHash('sha256');
    next = 0;
    let received = 0;
    for await (const piece of await store.get(tenant, hash)) {
      read.update(piece);
      look((received += piece.length));
    }
    expect(read.digest('hex')).toBe(hash);
    expect(peak - before).toBeLessThan(0.5 * size);
  }, 180_000);

  it('a listing shows every blob once, page by page, in one order', async () => {
    const stored: string[] = [];
    for (let n = 0; n < 11; n++) {
      const owner = n < 4 ? tenant : randomUUID();
      stored.push(`${owner}/${(await put(randomBytes(100), owner)).hash}`);
    }
    await store.stage(Readable.from(['only staged']), 100);
    const listed: ListedBlob[] = [];
    for (;;) {
      const page = await store.list(listed.at(-1) ?? null, 3);
      listed.push(...page);
      if (page.length < 3) break;
    }
    expect(listed.map(({ tenantId, hash }) => `${tenantId}/${hash}`)).toEqual(stored.sort());
    for (const { storedAt } of listed) expect(Math.abs(storedAt.getTime() - Date.now())).toBeLessThan(60_000);
  });

  it('what a dead process left is swept once it is old, and nothing else', async () => {
    const { hash } = await put(randomBytes(1000));
    const left = await opened.abandon();
    expect(await store.sweep(anHourAgo())).toBe(0);
    expect(await opened.count()).toBe(1 + left);
    expect(await store.sweep(inAnHour())).toBe(left);
    expect(await opened.count()).toBe(1);
    expect((await get(hash)).length).toBe(1000);
  });

  it('what is being staged is not old while it still grows', async () => {
    const staged = await store.stage(Readable.from(['x']), 100);
    await utimes(staged.path, anHourAgo(), anHourAgo());
    expect(await store.sweep(new Date(Date.now() - 7_200_000))).toBe(0);
    expect(await store.sweep(new Date(Date.now() - 60_000))).toBe(1);
  });

  it('says that it can be written to', async () => {
    await expect(store.check()).resolves.toBeUndefined();
    expect(await opened.count()).toBe(0);
  });
});

describe('an S3 store that fails', () => {
  let opened: Opened;
  const tenant = randomUUID();

  beforeEach(async () => {
    opened = await onS3({ ...proxy.env, S3_TIMEOUT_MS: '300' });
  });
  afterEach(async () => {
    proxy.gate.mood = 'passes';
    await opened.close();
  });

  const stage = (size: number) => opened.store.stage(Readable.from([randomBytes(size)]), 64 * megabyte);

  it('in the middle of an upload leaves no part of it', async () => {
    const staged = await stage(17 * megabyte);
    proxy.gate.mood = 'fails parts';
    await expect(opened.store.keep(tenant, staged)).rejects.toMatchObject({ code: 'unavailable', status: 503 });
    await opened.store.discard(staged);
    expect(await opened.count()).toBe(0);
  });

  it.each(['refuses', 'hangs'] as const)('because it %s is unavailable, said in bounded time', async (mood) => {
    const staged = await stage(1000);
    const { store } = opened;
    await store.keep(tenant, staged);
    proxy.gate.mood = mood;
    const unavailable = { code: 'unavailable', status: 503 };
    const began = performance.now();
    await expect(store.keep(tenant, staged)).rejects.toMatchObject(unavailable);
    await expect(store.get(tenant, staged.hash)).rejects.toMatchObject(unavailable);
    await expect(store.asFile(tenant, staged.hash, async () => 'read')).rejects.toMatchObject(unavailable);
    await expect(store.remove(tenant, staged.hash)).rejects.toMatchObject(unavailable);
    await expect(store.list(null, 10)).rejects.toMatchObject(unavailable);
    await expect(store.check()).rejects.toMatchObject(unavailable);
    expect(performance.now() - began).toBeLessThan(20_000);
    proxy.gate.mood = 'passes';
    expect((await buffer(await store.get(tenant, staged.hash))).length).toBe(1000);
  });

  it('because the bucket is not there, or the key is unknown, is unavailable', async () => {
    for (const wrong of ['S3_BUCKET', 'S3_ACCESS_KEY_ID']) {
      const other = await onS3({ ...server.env, [wrong]: 'nowhere' });
      await expect(other.store.check()).rejects.toMatchObject({ code: 'unavailable' });
      await expect(other.store.keep(tenant, await stage(10))).rejects.toMatchObject({ code: 'unavailable' });
      await other.close();
    }
  });
});
