import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Service, joinService } from './harness.js';

let service: Service;
let base: string;
let source: { hookUrl: string; secret: string };
let count = 0;

beforeAll(async () => {
  service = await joinService();
  base = (await service.call('POST', '/v1/knowledge-bases', { body: { name: 'articles' } })).body.id;
  const body = { knowledgeBaseId: base, kind: 'generic' };
  source = (await service.call('POST', '/v1/cms-sources', { body })).body;
});
afterAll(() => service.stop());

/** Sends one signed event; `minute` is when the CMS says it happened. */
async function send(articleId: string, action: string, minute: number, content?: string): Promise<void> {
  const updatedAt = new Date(Date.UTC(2026, 0, 1, 12, minute)).toISOString();
  const raw = JSON.stringify({ articleId, action, title: articleId, content, url: 'https://cms.example/a', updatedAt });
  const signature = createHmac('sha256', source.secret).update(raw).digest('hex');
  const answer = await fetch(new URL(new URL(source.hookUrl).pathname, service.url), {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-webhook-signature': signature },
    body: raw,
  });
  expect(answer.status).toBe(202);
  await service.settle();
}

async function answers(articleId: string, word: string): Promise<boolean> {
  const wish = { query: word, mode: 'keyword', filter: { field: 'externalId', eq: articleId } };
  const { body } = await service.call('POST', `/v1/knowledge-bases/${base}/search`, { body: wish });
  return body.results.some((result: { text: string }) => result.text.includes(word));
}

const fresh = () => `article-${++count}`;

describe('articles of a content system', () => {
  it('answer once they are published, and with the new text once they are updated', async () => {
    const id = fresh();
    await send(id, 'published', 1, 'Visitors park in the northyard.');
    expect(await answers(id, 'northyard')).toBe(true);
    await send(id, 'updated', 2, 'Visitors park in the southyard.');
    expect([await answers(id, 'northyard'), await answers(id, 'southyard')]).toEqual([false, true]);
  });

  it('follow the newest event, in whatever order the events come', async () => {
    const id = fresh();
    await send(id, 'updated', 3, 'The third text says zebra.');
    await send(id, 'updated', 2, 'The second text says walrus.');
    expect([await answers(id, 'zebra'), await answers(id, 'walrus')]).toEqual([true, false]);
    await send(id, 'deleted', 4);
    await send(id, 'updated', 2, 'The second text says walrus.');
    await send(id, 'published', 3, 'The third text says zebra.');
    expect([await answers(id, 'zebra'), await answers(id, 'walrus')]).toEqual([false, false]);
  });

  it.each(['deleted', 'unpublished'])(
    'that were %s before they were ever seen are not brought in by a late event',
    async (end) => {
      const id = fresh();
      await send(id, end, 5);
      await send(id, 'published', 4, 'A ghost called phantom.');
      expect(await answers(id, 'phantom')).toBe(false);
      await send(id, 'published', 6, 'A new life called phoenix.');
      expect(await answers(id, 'phoenix')).toBe(true);
    },
  );

  it('come back when they are published again after an end', async () => {
    const id = fresh();
    await send(id, 'published', 1, 'First there was quartz.');
    await send(id, 'unpublished', 2);
    expect(await answers(id, 'quartz')).toBe(false);
    await send(id, 'published', 3, 'First there was quartz.');
    expect(await answers(id, 'quartz')).toBe(true);
  });
});
