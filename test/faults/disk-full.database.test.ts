import { createHmac, randomBytes } from 'node:crypto';
import { cp, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeMortal, type MortalService } from './mortal-service.js';
import { canMount, mountSmallDisk } from './small-disk.js';

// A server's disk is not ours to fill, and only root may mount one that is.
describe.skipIf(Boolean(process.env['DATABASE_URL']) || !canMount()).each([
  { what: 'the tables and the log', folder: 'database', megabytes: 160, refusals: 2 },
  // Each refusal is a restart of the engine, which takes seconds.
  { what: 'the log alone', folder: 'database/pg_wal', megabytes: 120, refusals: 1 },
])('a disk without room for $what', ({ folder, megabytes, refusals }) => {
  let service: MortalService;
  let disk: ReturnType<typeof mountSmallDisk>;

  beforeEach(async () => {
    service = await makeMortal();
    const mounted = join(service.dataDir, folder);
    const aside = join(service.dataDir, 'aside');
    await rename(mounted, aside);
    await mkdir(mounted, { mode: 0o700 });
    disk = mountSmallDisk(mounted, megabytes);
    await cp(aside, mounted, { recursive: true });
    await rm(aside, { recursive: true });
    await service.start();
  });
  afterEach(async () => {
    await service.kill();
    disk.unmount();
    await service.remove();
  });

  it('145: is a 503 from a process that lives, and every acknowledged row is there once room returns', async () => {
    const { id: knowledgeBaseId } = (await service.request('POST', '/v1/knowledge-bases', { body: { name: 'b' } }))
      .body;
    const source = await service.request('POST', '/v1/cms-sources', { body: { knowledgeBaseId, kind: 'generic' } });
    const { id, secret } = source.body;
    const events = { told: 0 };
    /** Half a megabyte that is stored as it came before it is acknowledged, and costs nothing more. */
    const tell = async () => {
      const content = randomBytes(250_000).toString('hex');
      const updatedAt = new Date(Date.UTC(2026, 0, 1, 0, 0, events.told)).toISOString();
      const body = JSON.stringify({ articleId: `a${events.told++}`, action: 'deleted', content, updatedAt });
      const signature = createHmac('sha256', secret).update(body).digest('hex');
      const answer = await fetch(`${service.url}/v1/hooks/${id}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-webhook-signature': signature },
        body,
      });
      return { status: answer.status, body: (await answer.json()) as { eventId: string; code?: string } };
    };

    await disk.fill(1024 * 1024);
    const acknowledged: string[] = [];
    const refused: [number, string | undefined][] = [];
    while (refused.length < refusals && events.told < 300) {
      const { status, body } = await tell();
      if (status === 202) acknowledged.push(body.eventId);
      else refused.push([status, body.code]);
    }
    expect(refused).toEqual(Array.from({ length: refusals }, () => [503, 'unavailable']));
    expect((await service.request('GET', '/health/live')).status).toBe(200);

    await disk.free();
    await service.until('events to be taken again', async () => (await tell()).status === 202);
    await service.stop();
    const kept = await service.rows<{ id: string }>('select id from cms_event');
    const ids = new Set(kept.map((row) => `cev_${row.id}`));
    expect(acknowledged.length).toBeGreaterThan(0);
    expect(acknowledged.filter((eventId) => !ids.has(eventId))).toEqual([]);
  });
});
