import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BlobStore } from '../../src/platform/blobs.js';
import { type OwnService, startService } from '../service/harness.js';
import { type Library, openLibrary } from '../service/library.js';
import { until } from './until.js';

let service: OwnService;
let library: Library;

beforeAll(async () => {
  service = await startService();
  library = await openLibrary(service);
});
afterAll(() => service.stop());

const content = 'Everyone has 27 days of annual leave.';
const documents = async () => (await library.list('?limit=200')).data;

describe('uploads that come at the same time', () => {
  it('15: twenty under one Idempotency-Key make one document; the others are told to wait, or the same', async () => {
    const send = () => {
      const form = new FormData();
      form.append('file', new Blob([content]), 'leave.txt');
      return library.call('POST', '/documents', { form, headers: { 'idempotency-key': 'one-of-twenty' } });
    };
    const answers = await Promise.all(Array.from({ length: 20 }, send));
    const made = answers.filter(({ status }) => status === 202);
    const told = answers.filter(({ status }) => status !== 202);
    expect(made.length).toBeGreaterThan(0);
    expect(new Set(made.map(({ body }) => body.id)).size).toBe(1);
    expect(made.filter(({ headers }) => headers.get('idempotent-replayed') === null)).toHaveLength(1);
    for (const { status, body } of told) expect([status, body.code]).toEqual([409, 'idempotency_in_progress']);
    expect(await documents()).toHaveLength(1);
    const again = await send();
    expect([again.status, again.headers.get('idempotent-replayed'), again.body.id]).toEqual([
      202,
      'true',
      made[0]?.body.id,
    ]);
    await library.call('DELETE', `/documents/${made[0]?.body.id}`);
  });

  it('16: fifty that meet the removal of the same bytes end as they were last told', async () => {
    await service.work();
    const present: string[] = [];
    const gone: string[] = [];
    for (let round = 0; round < 50; round++) {
      const document = { externalId: `race ${round}`, content };
      const first = await library.upload(document);
      expect(first.status).toBe(202);
      // Whoever comes first: the upload finds the document unchanged and then it is deleted, or makes it anew.
      const [deleted, second] = await Promise.all([
        library.call('DELETE', `/documents/${first.body.id}`),
        library.upload(document),
      ]);
      expect([deleted.status, second.status]).toEqual([204, second.body.id === first.body.id ? 200 : 202]);
      gone.push(first.body.id);
      if (second.body.id === first.body.id) continue;
      present.push(second.body.id);
      // Half of them leave again, so that now and then nobody needs the bytes.
      if (round % 2 === 0) {
        await library.call('DELETE', `/documents/${second.body.id}`);
        gone.push(present.pop() ?? '');
      }
    }
    await until('what was kept to be ready', async () => {
      const listed: { id: string; status: string }[] = await documents();
      return listed.every(({ status }) => status === 'ready' || status === 'failed');
    });
    const listed: { id: string; status: string }[] = await documents();
    expect(new Set(listed.map(({ id }) => id))).toEqual(new Set(present));
    expect(listed.filter(({ status }) => status !== 'ready')).toEqual([]);
    for (const id of present) {
      expect((await library.call('GET', `/documents/${id}/content?format=original`)).text).toBe(content);
    }
    const left = () =>
      service.database().asOwner((tx) =>
        tx.rows(
          `select document_id from chunk where document_id = any($1) union all
           select document_id from revision where document_id = any($1)`,
          [gone.map((id) => id.slice('doc_'.length))],
        ),
      );
    await until('what was deleted to be cleared away', async () => (await left()).length === 0);
    expect((await service.part(BlobStore).list(null, 10)).length).toBeLessThanOrEqual(1);
  });
});
