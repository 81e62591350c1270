import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { IngestionJobs } from '../../src/ingestion/ingestion.jobs.js';
import { gating, shuffled } from './gating.js';
import { type Service, joinService } from './harness.js';
import { type Library, openLibrary } from './library.js';

let service: Service;
let library: Library;

beforeAll(async () => {
  service = await joinService();
});
afterAll(() => service.stop());

const gate = gating(() => ({ service, library }));
const { rows, uuid } = gate;
const door = { externalId: 'door', content: 'Visitors sign their names at the door.' };

beforeEach(async () => {
  library = await openLibrary(service);
  await gate.gated();
});

const begin = async (): Promise<string> => (await library.call('POST', '/syncs')).body.id;
const commit = (sync: string) => library.call('POST', `/syncs/${sync}/commit`, { body: {} });
const pending = () => rows('select 1 from pending_change where knowledge_base_id = $1', [uuid()]);

/** As it is after something that every document needs was away for too long. */
const giveUp = (document: string) =>
  rows(
    `update revision set status = 'failed', error_code = 'gave_up', error_message = 'It was tried often.', error_retryable = true
     where document_id = $1 and number = (select max(number) from revision where document_id = $1) returning id`,
    [document.slice('doc_'.length)],
  );

describe('a document of a sync that is read late', () => {
  it('goes into the next version when it failed, and was tried again while the sync was judged', async () => {
    const syncId = await begin();
    for (const document of shuffled) await library.upload({ ...document, syncId });
    const { id } = (await library.upload({ ...door, syncId })).body;
    await service.settle();
    await giveUp(id);
    await commit(syncId);
    await service.settle();
    const kept = await gate.sync(syncId);
    expect(kept.status).toBe('blocked');
    await gate.allow({ maxDrop: 1 });
    expect((await library.call('POST', `/documents/${id}/retry`)).status).toBe(202);
    await service.settle();
    expect(await library.get(id)).toMatchObject({ status: 'staged', activeRevision: null });
    expect((await gate.force(kept.version)).status).toBe(200);
    await service.settle();
    expect(await library.get(id)).toMatchObject({ status: 'ready' });
    expect(await gate.firstFor('Who signs at the door?')).toBe('door');
  });

  it('leaves nothing waiting when it came from outside, and the sync has published something newer', async () => {
    const travel = { externalId: 'travel', title: 'travel' };
    const { id } = (await library.upload({ ...travel, content: 'Train tickets are paid back in three weeks.' })).body;
    const [older] = (await giveUp(id)) as { id: string }[];
    const syncId = await begin();
    await library.upload({ ...travel, content: 'Train tickets are paid back in four weeks.', syncId });
    await commit(syncId);
    await gate.upToCandidate();
    await rows(
      `update revision set status = 'queued', error_code = null, error_message = null, error_retryable = null where id = $1 returning id`,
      [older?.id],
    );
    await service.part(IngestionJobs).ingest({ revisionId: '' });
    expect(await pending()).toHaveLength(1);
    await service.settle();
    expect(await gate.sync(syncId)).toMatchObject({ status: 'completed' });
    expect(await library.says('When are train tickets paid back?')).toContain('four weeks');
    expect(await pending()).toEqual([]);
  });
});
