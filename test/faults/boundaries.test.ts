import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Answer, type Service, startService } from '../service/harness.js';
import { type Library, openLibrary } from '../service/library.js';
import { Receiver } from '../service/receiver.js';
import type { Json } from './mortal-service.js';
import { deadlocks, every, once, untilBlocked } from './crossings.js';

let service: Service;
let receiver: Receiver;
let library: Library;

beforeAll(async () => {
  receiver = await new Receiver().start();
  service = await startService({ env: { OUTBOUND_ALLOW_CIDRS: '127.0.0.0/8' } });
  await service.call('POST', '/v1/webhook-endpoints', { body: { url: receiver.url, events: ['*'] } });
});
afterAll(async () => {
  await service.stop();
  await receiver.stop();
});
beforeEach(async () => {
  library = await openLibrary(service);
});

const uuid = (id: string) => id.slice(id.indexOf('_') + 1);
const rule = (n: number) => ({ externalId: `rule ${n}`, content: `# Rule ${n}\n\nEmployees have ${n} days of leave.` });

const eventsOf = async (documentId: string): Promise<Json[]> =>
  (await service.call('GET', '/v1/events?limit=200')).body.data
    .filter(({ data }: Json) => data.documentId === documentId)
    .toReversed();

const heardOf = (documentId: string): Json[] =>
  receiver.received.map(({ body }) => JSON.parse(body)).filter(({ data }) => data.documentId === documentId);

/** What there still is of a document, row by row and byte by byte. */
async function leftovers(id: string) {
  const rows = await service.database().asOwner((tx) =>
    tx.row<object>(
      `select (select count(*)::int from chunk where document_id = $1) as chunks,
         (select count(*)::int from chunk_vector v where not exists (select from chunk c where c.id = v.chunk_id)) as lost_vectors,
         (select count(*)::int from parse p join revision r on r.id = p.revision_id where r.document_id = $1) as parses,
         (select count(*)::int from revision where document_id = $1) as revisions,
         (select count(*)::int from segment s join knowledge_index i on i.id = s.index_id join document d on d.knowledge_base_id = i.knowledge_base_id
          where d.id = $1) as segments,
         (select count(*)::int from pending_change where document_id = $1) as pending`,
      [uuid(id)],
    ),
  );
  const files = await readdir(join(service.dataDir, 'blobs'), { recursive: true, withFileTypes: true });
  return { ...rows, files: files.filter((entry) => entry.isFile()).length };
}

const nothing = { chunks: 0, lost_vectors: 0, parses: 0, revisions: 0, segments: 0, pending: 0, files: 0 };

describe('133: a document deleted during its ingestion leaves nothing', () => {
  it.each([
    'parse.begun',
    'parse.kept',
    'vectors.had',
    'postings.written',
    'revision.staged',
    'publish.committed',
    'event.told',
  ])('at %s', async (at) => {
    const { body } = await library.upload(rule(1));
    let answer: Answer | null = null;
    once(at, async () => (answer = await library.call('DELETE', `/documents/${body.id}`)));
    await service.settle();
    expect(answer).toMatchObject({ status: 204 });
    expect(await library.finds('leave')).toEqual([]);
    expect(await leftovers(body.id)).toEqual(nothing);
    expect((await eventsOf(body.id)).at(-1)).toMatchObject({ type: 'document.deleted' });
  });

  // Within a transaction, the deletion waits for its locks.
  it.each(['chunks.half-stored', 'publish.swapping'])('at %s', async (at) => {
    const { body } = await library.upload(rule(1));
    const before = await deadlocks(service);
    let deletion: Promise<Answer> | null = null;
    once(at, () => untilBlocked(service, (deletion = library.call('DELETE', `/documents/${body.id}`))));
    await service.settle();
    expect(await deletion).toMatchObject({ status: 204 });
    await service.settle();
    expect(await library.finds('leave')).toEqual([]);
    expect(await leftovers(body.id)).toEqual(nothing);
    expect((await eventsOf(body.id)).at(-1)).toMatchObject({ type: 'document.deleted' });
    expect(await deadlocks(service)).toBe(before);
  });
});

describe('70: events of a document', () => {
  it('a transaction that is rolled back sends nothing, and takes no number', async () => {
    const { body } = await library.upload(rule(1));
    let wasReady: unknown = null;
    once('publish.swapping', () => Promise.reject(new Error('scripted')));
    // The next attempt finds what the first one left.
    once('publish.committed', async () => (wasReady = (await eventsOf(body.id)).map(({ type }) => type)));
    await service.settle();
    expect(wasReady).toContain('document.ready');
    const recorded = await eventsOf(body.id);
    expect(recorded.map(({ type, data }) => [type, data.sequence])).toEqual([
      ['document.queued', 1],
      ['document.processing', 2],
      ['document.ready', 3],
    ]);
    expect(heardOf(body.id).map(({ id }) => id)).toEqual(recorded.map(({ id }) => id));
  });

  it('none arrives before what it says can be read', async () => {
    const { body } = await library.upload(rule(1));
    const seen: string[] = [];
    const stop = every('delivery.sent', async () => {
      const { type, id } = heardOf(body.id).at(-1) ?? {};
      const known = (await eventsOf(body.id)).some((event) => event.id === id);
      if (type) seen.push(`${type} ${known ? (await library.get(body.id)).status : 'unknown'}`);
    });
    await service.settle();
    stop();
    expect(seen).toContain('document.ready ready');
    expect(seen.join()).not.toContain('unknown');
  });
});

describe('what a failed attempt left that cut the text otherwise', () => {
  it('is not among the chunks that are published', async () => {
    const { body } = await library.upload(rule(1));
    // Stands for a build that cut the text smaller: a second chunk, which the next attempt does not have.
    let left = 0;
    once('vectors.had', async () => {
      left = await service.database().asOwner((tx) =>
        tx.run(
          `insert into chunk (index_id, id, tenant_id, document_id, revision_id, ordinal, section, start_offset, end_offset, text, text_hash, tokens)
           select (select max(id) from knowledge_index where knowledge_base_id = r.knowledge_base_id), gen_random_uuid(), r.tenant_id,
             r.document_id, r.id, 1, '{}', 0, 4, 'leave', 'none', 1 from revision r where r.document_id = $1`,
          [uuid(body.id)],
        ),
      );
      throw new Error('scripted');
    });
    await service.settle();
    await service
      .database()
      .asOwner((tx) => tx.run('update revision set lease_expires_at = now() where status = $1', ['queued']));
    await service.settle();
    expect(left).toBe(1);
    const { data } = (await library.call('GET', `/documents/${body.id}/chunks`)).body;
    expect(data.map(({ ordinal }: Json) => ordinal)).toEqual([0]);
    expect(await leftovers(body.id)).toMatchObject({ chunks: 1, lost_vectors: 0 });
  });
});
