import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { standBefore, startS3 } from '../contract/s3-server.js';
import { type Service, startService } from '../service/harness.js';
import { type Library, openLibrary } from '../service/library.js';

let server: Awaited<ReturnType<typeof startS3>>;
let proxy: Awaited<ReturnType<typeof standBefore>>;
let service: Service;
let library: Library;

beforeAll(async () => {
  server = await startS3();
  proxy = await standBefore(server.env);
  service = await startService({ env: { ...proxy.env, S3_TIMEOUT_MS: '300' } });
  library = await openLibrary(service);
});
afterAll(async () => {
  await service.stop();
  await proxy.close();
  await server.stop();
});

describe('while S3 does not answer', () => {
  it.each(['refuses', 'hangs'] as const)(
    'because it %s, what needs files is a 503 and the rest goes on',
    async (mood) => {
      const { id } = await library.publish({ externalId: mood, content: `Written before it ${mood}.` });
      const waiting = await library.upload({
        externalId: `${mood} soon`,
        content: `Still to be read when it ${mood}.`,
      });
      proxy.gate.mood = mood;

      const refused = await library.upload({ externalId: 'refused', content: 'Not now.' });
      expect([refused.status, refused.body.code]).toEqual([503, 'unavailable']);
      expect(refused.headers.get('retry-after')).not.toBeNull();
      const original = await library.call('GET', `/documents/${id}/content?format=original`);
      expect([original.status, original.body.code]).toEqual([503, 'unavailable']);
      expect(await readdir(join(service.dataDir, 'blobs', 'incoming'))).toEqual([]);
      expect((await service.call('GET', '/health/ready')).body).toMatchObject({
        status: 'degraded',
        checks: { blobs: { status: 'down' } },
      });
      expect(await library.says('Written before')).toContain(mood);
      expect((await library.list('?externalId=refused')).data).toEqual([]);

      proxy.gate.mood = 'passes';
      await service.settle();
      expect(await library.get(waiting.body.id)).toMatchObject({ status: 'ready' });
      expect((await library.publish({ externalId: 'refused', content: 'Now.' })).status).toBe('ready');
      await library.call('DELETE', `/documents/${(await library.list('?externalId=refused')).data[0].id}`);
      expect((await service.call('GET', '/health/ready')).body.status).toBe('ok');
    },
  );
});
