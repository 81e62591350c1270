import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Letters } from '../../src/retrieval/letters.js';
import { PostingCache } from '../../src/retrieval/posting-cache.js';
import { type OwnService, startService } from './harness.js';
import { type Library, openLibrary } from './library.js';

let service: OwnService;
let library: Library;

beforeEach(async () => {
  service = await startService();
  library = await openLibrary(service);
});
afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await service.stop();
});

it('what a deleted document said leaves the memory of a process by itself, where nobody asks any more', async () => {
  const postings = service.part(PostingCache) as unknown as { headers: { size: number }; buckets: { size: number } };
  const { profiles } = service.part(Letters) as unknown as { profiles: { size: number } };
  const held = () => [postings.headers.size, postings.buckets.size, profiles.size];
  const word = `w${randomUUID().replaceAll('-', '')}`;
  const { id } = await library.publish({ externalId: 'x', content: `It is called ${word} here.` });
  await library.finds(word);
  await library.call('DELETE', `/documents/${id}`);
  await service.settle();
  for (const size of held()) expect(size).toBeGreaterThan(0);

  vi.useFakeTimers({ toFake: ['setInterval'] });
  await service.work();
  for (const size of held()) expect(size).toBeGreaterThan(0);
  // Letters are kept for half a minute.
  const now = performance.now.bind(performance);
  vi.spyOn(performance, 'now').mockImplementation(() => now() + 31_000);
  vi.advanceTimersByTime(15_000);
  vi.useRealTimers();
  // Waits for what is under way.
  await service.pause();
  expect(held()).toEqual([0, 0, 0]);
});
