import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Service, startService } from './harness.js';
import { type Library, openLibrary } from './library.js';

let service: Service;
let library: Library;

beforeAll(async () => {
  service = await startService({ env: { RETENTION_VERSIONS: '3', RETENTION_HOURS: '0' } });
});
afterAll(() => service.stop());
beforeEach(async () => {
  library = await openLibrary(service);
});

const storage = async () => (await library.call('GET', '/storage')).body;
const edit = (externalId: string, text: string) => library.publish({ externalId, content: `The tide: ${text}.` });

describe('the storage of a base', () => {
  it('is counted in documents, bytes, indexes and versions', async () => {
    await edit('d0', 'one');
    await edit('d1', 'two');
    await edit('d0', 'three');
    const report = await storage();
    expect(report).toMatchObject({
      documents: 2,
      revisions: 3,
      blobs: { count: 3, bytes: 'The tide: one.The tide: two.The tide: three.'.length },
      indexes: [{ model: expect.any(String), dimensions: expect.any(Number), chunks: 3 }],
      versions: [
        { number: 3, status: 'active', documents: 2, chunks: 2, ownChunks: 1 },
        { number: 2, status: 'ready', documents: 2, chunks: 2, ownChunks: 0 },
        { number: 1, status: 'ready', documents: 1, chunks: 1, ownChunks: 0 },
      ],
    });
    expect(report.text.bytes).toBeGreaterThan(0);
    expect(report.indexes[0].bytes).toBeGreaterThan(8192);
    await edit('d1', 'four');
    // Version 2 is the last that shows "one" and "two" together; "one" is shown by it alone now that 1 is retired.
    expect((await storage()).versions).toMatchObject([
      { number: 4, ownChunks: 1 },
      { number: 3, ownChunks: 0 },
      { number: 2, ownChunks: 1 },
    ]);
  });

  it('is counted index by index: a version of another one shows none of its chunks', async () => {
    await edit('d0', 'one');
    await edit('d1', 'two');
    await library.call('POST', '/reindex', { body: { pipeline: { language: 'en' } } });
    await service.settle();
    expect((await storage()).versions).toMatchObject([
      { number: 3, chunks: 2, ownChunks: 2 },
      { number: 2, chunks: 2, ownChunks: 1 },
      { number: 1, chunks: 1, ownChunks: 0 },
    ]);
    await edit('d0', 'three');
    expect((await storage()).versions).toMatchObject([
      { number: 4, chunks: 2, ownChunks: 1 },
      { number: 3, chunks: 2, ownChunks: 1 },
      { number: 2, chunks: 2, ownChunks: 2 },
    ]);
  });

  it('of an empty base is nothing', async () => {
    expect(await storage()).toMatchObject({
      documents: 0,
      blobs: { count: 0, bytes: 0 },
      indexes: [],
      versions: [{ number: 0, chunks: 0, ownChunks: 0 }],
    });
  });
});
