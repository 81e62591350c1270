import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Service, joinService } from './harness.js';

let service: Service;
let base: string;

beforeAll(async () => {
  service = await joinService();
  base = (await service.call('POST', '/v1/knowledge-bases', { body: { name: 'spine' } })).body.id;
});
afterAll(() => service.stop());

describe('the main path', () => {
  it('takes a document in, and finds it by a question once it is ready', async () => {
    const uploaded = await service.call('POST', `/v1/knowledge-bases/${base}/documents`, {
      body: {
        title: 'Leave',
        content: '# Leave\n\nEvery employee has 27 days of annual leave.',
        contentType: 'text/markdown',
        externalId: 'leave',
      },
    });
    expect(uploaded).toMatchObject({ status: 202, body: { status: 'queued', externalId: 'leave' } });
    await service.settle();
    const document = await service.call('GET', `/v1/knowledge-bases/${base}/documents/${uploaded.body.id}`);
    expect(document.body).toMatchObject({ status: 'ready', error: null, activeRevision: { number: 1 } });
    const found = await service.call('POST', `/v1/knowledge-bases/${base}/search`, {
      body: { query: 'How many days of annual leave?' },
    });
    expect(found).toMatchObject({ status: 200, body: { version: 1, mode: 'hybrid', degraded: [] } });
    const [first] = found.body.results;
    const content = await service.call(
      'GET',
      `/v1/knowledge-bases/${base}/documents/${uploaded.body.id}/content?revision=${first.revision}`,
    );
    expect(content.body.text.slice(first.start, first.end)).toBe(first.text);
    expect(first.text).toContain('27 days');
  });
});
