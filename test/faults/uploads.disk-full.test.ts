import { randomBytes } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Service, startService } from '../service/harness.js';
import { type Library, openLibrary } from '../service/library.js';
import { filePart, end, sendRaw } from './raw-upload.js';
import { canMount, mountSmallDisk } from './small-disk.js';

const large = () => Buffer.concat([filePart(randomBytes(2_000_000), 'large.txt'), end]);

// Only root may mount a disk small enough to fill. With files in S3 it is the disk that uploads pass through.
describe.skipIf(!canMount())('a disk without room for uploads', () => {
  let service: Service;
  let library: Library;
  let disk: ReturnType<typeof mountSmallDisk>;

  beforeAll(async () => {
    service = await startService();
    const blobs = join(service.dataDir, 'blobs');
    await mkdir(blobs, { recursive: true });
    disk = mountSmallDisk(blobs, 16);
    library = await openLibrary(service);
    await library.publish({ externalId: 'leave', content: 'Everyone has 27 days of annual leave.' });
  });
  afterAll(async () => {
    disk.unmount();
    await service.stop();
  });

  const incoming = () => readdir(join(service.dataDir, 'blobs', 'incoming'));

  it('145: is a 507 that leaves nothing behind and takes nothing down; uploads go on once there is room', async () => {
    await disk.fill(1_000_000);
    expect(await sendRaw(service, library.base, large())).toMatchObject({
      status: 507,
      body: { code: 'storage_full' },
    });
    expect(await incoming()).toEqual([]);

    await disk.fill();
    const asJson = await library.upload({ content: 'No room for a word.' });
    expect([asJson.status, asJson.body.code]).toEqual([507, 'storage_full']);
    expect(await incoming()).toEqual([]);
    expect((await library.list()).data).toHaveLength(1);

    expect((await service.call('GET', '/health/live')).status).toBe(200);
    expect((await service.call('GET', '/health/ready')).body).toMatchObject({
      status: 'degraded',
      checks: { blobs: { status: 'down' } },
    });
    expect(await library.says('annual leave')).toContain('27 days');

    await disk.free();
    expect((await sendRaw(service, library.base, large())).status).toBe(202);
    const again = await library.publish({ externalId: 'again', content: 'There is room again.' });
    expect(again.status).toBe('ready');
    expect((await service.call('GET', '/health/ready')).body.status).toBe('ok');
  });
});
