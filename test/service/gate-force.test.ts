import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { moveTo } from '../../src/knowledge/next-version.js';
import { deadlocks, once, untilBlocked } from '../faults/crossings.js';
import { gating, shuffled, subjects, unchanged } from './gating.js';
import { type Answer, type Service, joinService } from './harness.js';
import { type Library, openLibrary } from './library.js';

let service: Service;
let library: Library;

beforeAll(async () => {
  service = await joinService();
});
afterAll(() => service.stop());

const gate = gating(() => ({ service, library }));
const { force, syncOf, sync, version, newest } = gate;
const door = { externalId: 'door', content: 'Visitors sign their names at the door.' };
const later = { externalId: 'travel', title: 'travel', content: 'Train tickets are paid back within three weeks.' };
const found = async () => (await library.finds('days kitchen bicycles train visitors', { topK: 50 })).toSorted();

beforeEach(async () => {
  library = await openLibrary(service);
  await gate.gated();
});

describe('a blocked version that is forced', () => {
  it('leaves out what it did not have, but nothing that was published anew since', async () => {
    const kept = unchanged.filter(({ externalId }) => !['travel', 'parking'].includes(externalId));
    const bad = await syncOf([...kept, door], { deleteMissing: true });
    expect(bad).toMatchObject({ status: 'blocked', outcome: { unpublished: 2 } });
    await library.publish(later);
    expect((await newest()).status).toBe('active');
    expect(await force(bad.version)).toMatchObject({ status: 200, body: { status: 'active' } });
    expect(await found()).toEqual(['door', 'kitchen', 'leave', 'travel']);
    expect(await library.says(subjects[3][2])).toContain('three weeks');
  });

  it('is done with when its changes became a version on top, and ends its sync once', async () => {
    const bad = await syncOf(shuffled);
    await library.publish(door);
    expect(await force(bad.version)).toMatchObject({ status: 200, body: { number: bad.version + 2 } });
    expect((await version(bad.version)).status).toBe('retired');
    expect(await force(bad.version)).toMatchObject({ status: 410, body: { code: 'gone' } });
    expect(await gate.told('sync.completed')).toMatchObject([{ data: { syncId: bad.id, version: bad.version + 2 } }]);
  });

  it('is refused where the index that answers does not hold its text, and comes once that does', async () => {
    const before = await library.activeVersion();
    await library.call('POST', '/reindex', { body: { pipeline: { chunking: { targetChars: 500, maxChars: 600 } } } });
    await service.settle();
    expect(await library.activeVersion()).toBe(before + 1);
    const bad = await syncOf(shuffled);
    expect(bad.status).toBe('blocked');
    await library.activate(before);
    expect(await force(bad.version)).toMatchObject({
      status: 409,
      body: { code: 'conflict', detail: expect.stringContaining(`activate version ${before + 1} first`) },
    });
    expect([await library.activeVersion(), await gate.firstFor(subjects[1][2])]).toEqual([before, 'kitchen']);
    await library.activate(before + 1);
    expect(await force(bad.version)).toMatchObject({ status: 200, body: { number: bad.version, status: 'active' } });
    expect(await gate.firstFor(subjects[1][2])).toBe('leave');
  });

  it('is not given up by somebody else at the same moment', async () => {
    const bad = await syncOf(shuffled);
    await library.publish(door);
    const cut = await deadlocks(service);
    let aborted: Promise<Answer> | undefined;
    once('publish.swapping', async () => {
      aborted = library.call('POST', `/syncs/${bad.id}/abort`);
      await untilBlocked(service, aborted);
    });
    expect((await force(bad.version)).status).toBe(200);
    expect(await aborted).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect(await deadlocks(service)).toBe(cut);
    expect(await sync(bad.id)).toMatchObject({ status: 'completed', version: bad.version + 2 });
    expect(await gate.firstFor(subjects[1][2])).toBe('leave');
  });
});

describe('a version that was given up', () => {
  it('never answers, however it is asked to', async () => {
    const before = await library.activeVersion();
    const bad = await syncOf(shuffled);
    await library.call('POST', `/syncs/${bad.id}/abort`);
    const scope = { tenantId: await gate.tenantId() };
    const moved = service
      .database()
      .as(scope, (tx) => moveTo(tx, scope, { id: gate.uuid(), active_version: before }, bad.version));
    await expect(moved).rejects.toMatchObject({ code: 'conflict' });
    expect([await library.activeVersion(), (await version(before)).status]).toEqual([before, 'active']);
  });
});

describe('the bytes of a blocked upload, sent again', () => {
  const closed = { externalId: 'kitchen', title: 'kitchen', content: 'It is closed on holidays.' };

  it('are taken, judged anew, and answer once they may, without being embedded again', async () => {
    await gate.ask(subjects[1][2], [{ passage: 'closes at six' }]);
    await library.publish(closed);
    const blocked = await newest();
    expect(blocked).toMatchObject({ status: 'blocked', cause: { kind: 'publish' } });
    const again = await library.upload(closed);
    expect([again.status, again.body.unchanged]).toEqual([202, false]);
    await service.settle();
    expect(await newest()).toMatchObject({ number: blocked.number + 1, status: 'blocked' });
    await gate.allow({ maxDrop: 1 });
    const { receipt, status } = await library.publish(closed);
    expect([status, receipt.chunks]).toEqual(['ready', expect.objectContaining({ reused: 1, embedded: 0 })]);
    expect(await newest()).toMatchObject({ number: blocked.number + 2, status: 'active' });
    expect((await library.upload(closed)).body.unchanged).toBe(true);
  });
});
