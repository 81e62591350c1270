import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Purging } from '../../src/ingestion/purge.js';
import { BlobClaims } from '../../src/platform/blob-claims.js';
import { BlobStore } from '../../src/platform/blobs.js';
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

const leave = (days: number) => ({ externalId: 'leave', content: `Every employee has ${days} days of annual leave.` });

/** How many rows each of the tables that hold a document's content has for it. */
async function leftovers(id: string) {
  const counts = await service.database().asOwner((tx) =>
    tx.row<Record<string, string>>(
      `select (select count(*) from chunk where document_id = $1) as chunks,
         (select count(*) from chunk_vector v where exists (select from chunk c where c.id = v.chunk_id and c.document_id = $1)) as vectors,
         (select count(*) from chunk_vector v where not exists (select from chunk c where c.id = v.chunk_id)) as lost_vectors,
         (select count(*) from parse p join revision r on r.id = p.revision_id where r.document_id = $1) as parses,
         (select count(*) from parse p where not exists (select from revision r where r.id = p.revision_id)) as lost_parses,
         (select count(*) from revision where document_id = $1) as revisions,
         (select count(*) from document_grant where document_id = $1) as grants`,
      [id.slice('doc_'.length)],
    ),
  );
  return Object.fromEntries(Object.entries(counts ?? {}).map(([name, count]) => [name, Number(count)]));
}

const blobs = async () => (await service.part(BlobStore).list(null, 1000)).length;

describe('a deleted document', () => {
  it('is gone from the next search, list and read, and its external id is free again', async () => {
    const { id } = await library.publish(leave(27));
    expect((await library.call('DELETE', `/documents/${id}`)).status).toBe(204);
    expect(await library.finds('annual leave')).toEqual([]);
    for (const path of ['', '/content', '/chunks', '/content?format=original']) {
      expect((await library.call('GET', `/documents/${id}${path}`)).status).toBe(404);
    }
    expect((await library.list()).data).toEqual([]);
    expect((await library.call('DELETE', `/documents/${id}`)).status).toBe(404);
    const again = await library.publish(leave(28));
    expect(again.id).not.toBe(id);
    expect(await library.says('annual leave')).toContain('28 days');
  });

  it('is not brought back by a rollback', async () => {
    const { id } = await library.publish(leave(27));
    await library.publish({ externalId: 'other', content: 'Trains come before planes.' });
    await library.call('DELETE', `/documents/${id}`);
    expect((await library.activate(1)).status).toBe(200);
    expect(await library.finds('annual leave')).toEqual([]);
    await service.settle();
    expect(await library.finds('annual leave')).toEqual([]);
    expect((await library.call('GET', `/documents/${id}`)).status).toBe(404);
  });

  it('leaves no chunk, vector, stored text or bytes behind', async () => {
    const before = await blobs();
    const { id } = await library.publish({ ...leave(27), access: { visibility: 'restricted', allow: ['group:hr'] } });
    await library.publish(leave(28));
    expect(await leftovers(id)).toMatchObject({ chunks: 2, vectors: 2, parses: 2, revisions: 2, grants: 1 });
    await library.call('DELETE', `/documents/${id}`);
    await service.settle();
    expect(await leftovers(id)).toEqual({
      chunks: 0,
      vectors: 0,
      lost_vectors: 0,
      parses: 0,
      lost_parses: 0,
      revisions: 0,
      grants: 0,
    });
    expect(await blobs()).toBe(before);
  });

  it('is not cleared away before its bytes are, whose removal broke off', async () => {
    const { id } = await library.publish(leave(27));
    const [before, bare] = [await blobs(), id.slice('doc_'.length)];
    await library.call('DELETE', `/documents/${id}`);
    // As a store leaves it that failed, or a process that died.
    await service.database().asOwner((tx) =>
      tx.run(
        `insert into blob_claim (id, tenant_id, content_hash, kind, expires_at)
         select gen_random_uuid(), tenant_id, content_hash, 'remove', now() + interval '1 hour' from revision where document_id = $1`,
        [bare],
      ),
    );
    const receipt = async () => (await library.call('GET', `/deletions/${id}`)).body;
    await service.part(Purging).purge(bare);
    expect([(await receipt()).status, await blobs()]).toEqual(['pending', before]);
    await service.part(BlobClaims).freeAll();
    await service.settle();
    expect(await receipt()).toMatchObject({ status: 'completed', removed: { blobs: 1 } });
    expect(await blobs()).toBe(before - 1);
  });

  it('keeps the bytes that another document still has', async () => {
    const { id } = await library.publish(leave(27));
    const twin = await library.publish({ ...leave(27), externalId: 'twin' });
    await library.call('DELETE', `/documents/${id}`);
    await service.settle();
    expect((await library.call('GET', `/documents/${twin.id}/content?format=original`)).text).toContain('27 days');
  });

  it('is not published by what was on its way when it was deleted', async () => {
    const { body } = await library.upload(leave(27));
    await library.call('DELETE', `/documents/${body.id}`);
    await service.settle();
    expect(await library.finds('annual leave')).toEqual([]);
    expect(await leftovers(body.id)).toMatchObject({ chunks: 0, parses: 0, revisions: 0 });
  });

  it('is told of once, after everything that happened to it', async () => {
    const { id } = await library.publish(leave(27));
    await library.call('DELETE', `/documents/${id}`);
    await service.settle();
    const events = (await service.call('GET', '/v1/events?limit=200')).body.data.filter(
      (event: { data: { documentId?: string } }) => event.data.documentId === id,
    );
    expect(events.map((event: { type: string }) => event.type)).toEqual([
      'document.deleted',
      'document.ready',
      'document.processing',
      'document.queued',
    ]);
    expect(events.map((event: { data: { sequence: number } }) => event.data.sequence)).toEqual([4, 3, 2, 1]);
  });
});

describe('an unpublished document', () => {
  it('leaves with a new version, and a rollback brings it back', async () => {
    const { id } = await library.publish(leave(27));
    expect((await library.call('POST', `/documents/${id}/unpublish`)).status).toBe(202);
    await service.settle();
    expect(await library.finds('annual leave')).toEqual([]);
    expect((await library.call('GET', '/versions/2')).body).toMatchObject({
      status: 'active',
      cause: { kind: 'unpublish' },
      stats: { documents: 0, chunks: 0 },
    });
    expect(await library.get(id)).toMatchObject({ activeRevision: null });
    await library.activate(1);
    expect(await library.finds('annual leave')).toEqual(['leave']);
  });

  it('is published again by sending the same bytes', async () => {
    const { id } = await library.publish(leave(27));
    await library.call('POST', `/documents/${id}/unpublish`);
    const again = await library.upload(leave(27));
    expect(again.status).toBe(202);
    await service.settle();
    expect(await library.get(id)).toMatchObject({
      status: 'ready',
      revision: { number: 2 },
      receipt: { chunks: { reused: 1, embedded: 0 } },
    });
    expect(await library.finds('annual leave')).toEqual(['leave']);
  });
});

describe('a deleted knowledge base', () => {
  it('answers nothing more, and its documents are cleared away', async () => {
    const before = await blobs();
    const { id } = await library.publish(leave(27));
    const { body: late } = await library.upload({ externalId: 'late', content: 'Sent but never read.' });
    expect((await library.call('DELETE', '')).status).toBe(204);
    expect((await library.call('POST', '/search', { body: { query: 'leave' } })).status).toBe(404);
    await service.settle();
    expect(await leftovers(id)).toMatchObject({ chunks: 0, vectors: 0, parses: 0, revisions: 0 });
    expect(await leftovers(late.id)).toMatchObject({ chunks: 0, revisions: 0 });
    expect(await blobs()).toBe(before);
  });
});
