import { giveWay } from './lane.js';

// What a request may have to wait for one slice of background computing. Unsliced, the built-in vectors of 64 passages took
// 20 to 40 ms at a stretch, and their terms 10 to 30.
const sliceMs = 4;

/** Like `map`, for work that computes: after every few milliseconds, requests are let in between. */
export async function mapInSlices<T, U>(items: Iterable<T>, each: (item: T) => U): Promise<U[]> {
  const results: U[] = [];
  let began = performance.now();
  for (const item of items) {
    results.push(each(item));
    if (performance.now() - began < sliceMs) continue;
    await giveWay();
    began = performance.now();
  }
  return results;
}
