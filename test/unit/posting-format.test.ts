import { expect, it } from 'vitest';
import {
  Bucket,
  bucketOf,
  mergeSegments,
  type PackedSegment,
  packSegment,
} from '../../src/knowledge/posting-format.js';
import { placeOf } from '../../src/knowledge/terms.js';

/** Where a term stands in a segment: [chunk number, count] pairs. */
function look(segment: PackedSegment, term: string): [number, number][] {
  const data = segment.data.get(bucketOf(placeOf(term), segment.buckets));
  const found = data && new Bucket(data).find(placeOf(term));
  return found ? [...found.numbers].map((number, at) => [number, found.counts[at] ?? 0]) : [];
}

const lengthsOf = (segment: PackedSegment) => [...new Uint16Array(new Uint8Array(segment.lengths).buffer)];

const part = (segment: PackedSegment, renumbered: number[]) => ({
  lengths: new Uint16Array(new Uint8Array(segment.lengths).buffer),
  buckets: [...segment.data.values()].map((data) => new Bucket(data)),
  renumbered: Int32Array.from(renumbered),
});

it('every term is found in the chunks that hold it, as often as it stands there', () => {
  const segment = packSegment([['leave', 'days', 'leave'], [], ['days']]);
  expect(look(segment, 'leave')).toEqual([[0, 2]]);
  expect(look(segment, 'days')).toEqual([
    [0, 1],
    [2, 1],
  ]);
  expect(look(segment, 'train')).toEqual([]);
  expect(lengthsOf(segment)).toEqual([3, 0, 1]);
});

it('a segment of many terms is spread over buckets, and each is found in its own', () => {
  const texts = Array.from({ length: 300 }, (_, chunk) =>
    Array.from({ length: 100 }, (_term, n) => `w${chunk * 37 + n}`),
  );
  const segment = packSegment(texts);
  expect(segment.buckets).toBeGreaterThan(4);
  expect(segment.data.size).toBe(segment.buckets);
  for (const term of ['w0', 'w99', 'w5000', 'w11162']) {
    const expected = texts.flatMap((text, chunk) => (text.includes(term) ? [[chunk, 1]] : []));
    expect(expected.length).toBeGreaterThan(0);
    expect(look(segment, term)).toEqual(expected);
  }
});

it('a term that stands 1,000 times in a chunk counts as 255', () => {
  expect(look(packSegment([Array.from({ length: 1000 }, () => 'leave')]), 'leave')).toEqual([[0, 255]]);
});

it('merging equals packing what is kept', () => {
  const texts = [['a', 'b'], ['b', 'b', 'c'], ['c'], ['a', 'd'], ['e', 'b']];
  const [first, second] = [packSegment(texts.slice(0, 3)), packSegment(texts.slice(3))];
  const merged = mergeSegments([part(first, [0, -1, 1]), part(second, [2, 3])]);
  const expected = packSegment([['a', 'b'], ['c'], ['a', 'd'], ['e', 'b']]);
  expect(merged).toEqual(expected);
});
