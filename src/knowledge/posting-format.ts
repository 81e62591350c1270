import { frequencies, placeOf } from './terms.js';

// What one row holds: small enough that a rare term's lookup reads little, large enough that rows stay few.
const bucketBytes = 16_384;
const maxBuckets = 8192;

/** The chunks of a segment that hold a term, by their number in the segment, and how often (255 at most) each does. */
export interface TermPostings {
  numbers: Int32Array;
  counts: Uint8Array;
}

/** An immutable inverted index over some chunks, numbered from 0: what is stored of it, and how. */
export interface PackedSegment {
  chunks: number;
  /** A power of two; a term's postings stand in the bucket {@link bucketOf} names. */
  buckets: number;
  /** How many terms each chunk has, 16 bits each, little-endian. */
  lengths: Buffer;
  /** The buckets that hold anything. */
  data: Map<number, Buffer>;
}

export const bucketOf = (place: number, buckets: number): number => place & (buckets - 1);

/**
 * One row of postings. Layout, all little-endian: the number of terms as int32; for each, by rising place, its place
 * and where its entries begin; the number of entries; the entries' chunk numbers as int32; their counts as bytes.
 */
export class Bucket {
  private readonly words: Int32Array;
  private readonly counts: Uint8Array;
  private readonly terms: number;
  readonly bytes: number;

  constructor(stored: Buffer) {
    const bytes = new Uint8Array(stored); // a copy: a Buffer may begin anywhere, an Int32Array may not
    this.bytes = bytes.length;
    this.terms = new Int32Array(bytes.buffer, 0, 1)[0] ?? 0;
    const head = 2 + 2 * this.terms;
    const entries = new Int32Array(bytes.buffer, 4 * (head - 1), 1)[0] ?? 0;
    this.words = new Int32Array(bytes.buffer, 0, head + entries);
    this.counts = bytes.subarray(4 * (head + entries));
  }

  find(place: number): TermPostings | undefined {
    let low = 0;
    let high = this.terms - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const found = this.words[1 + 2 * middle] ?? 0;
      if (found === place) return this.at(middle);
      if (found < place) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }

  *all(): Generator<[place: number, postings: TermPostings]> {
    for (let term = 0; term < this.terms; term++) yield [this.words[1 + 2 * term] ?? 0, this.at(term)];
  }

  private at(term: number): TermPostings {
    const start = this.words[2 + 2 * term] ?? 0;
    // The last term's entries end where the number of entries says.
    const end = term === this.terms - 1 ? this.words[1 + 2 * this.terms] : this.words[4 + 2 * term];
    const head = 2 + 2 * this.terms;
    return { numbers: this.words.subarray(head + start, head + (end ?? 0)), counts: this.counts.subarray(start, end) };
  }
}

/** @param texts the terms of each chunk, in the order of their numbers */
export function packSegment(texts: Iterable<readonly string[]>): PackedSegment {
  const places = new Map<number, { numbers: number[]; counts: number[] }>();
  const lengths: number[] = [];
  for (const found of texts) {
    for (const [term, count] of frequencies(found)) {
      const place = placeOf(term);
      let entry = places.get(place);
      if (!entry) places.set(place, (entry = { numbers: [], counts: [] }));
      // Two terms may meet in one place: they count as one, as they will when asked for.
      if (entry.numbers.at(-1) === lengths.length) entry.counts.push((entry.counts.pop() ?? 0) + count);
      else {
        entry.numbers.push(lengths.length);
        entry.counts.push(count);
      }
    }
    lengths.push(found.length);
  }
  const postings = new Map<number, TermPostings>();
  for (const [place, { numbers, counts }] of places) {
    postings.set(place, {
      numbers: Int32Array.from(numbers),
      counts: Uint8Array.from(counts, (count) => Math.min(count, 255)),
    });
  }
  return pack(
    postings,
    Uint16Array.from(lengths, (length) => Math.min(length, 65_535)),
  );
}

/** A segment to be merged: which of its chunks stay, and which number each gets (-1: dropped). */
export interface MergePart {
  lengths: Uint16Array;
  buckets: Bucket[];
  renumbered: Int32Array;
}

/** One segment from several, their chunks renumbered; the kept chunks of each part must come after those of the last. */
export function mergeSegments(parts: MergePart[]): PackedSegment {
  const pieces = new Map<number, TermPostings[]>();
  const lengths: number[] = [];
  for (const { lengths: own, buckets, renumbered } of parts) {
    renumbered.forEach((number, old) => {
      if (number >= 0) lengths[number] = own[old] ?? 0;
    });
    for (const bucket of buckets) {
      for (const [place, postings] of bucket.all()) {
        const kept = renumber(postings, renumbered);
        if (kept.numbers.length === 0) continue;
        const list = pieces.get(place);
        if (list) list.push(kept);
        else pieces.set(place, [kept]);
      }
    }
  }
  const postings = new Map([...pieces].map(([place, list]) => [place, concatenate(list)]));
  return pack(postings, Uint16Array.from(lengths));
}

function renumber({ numbers, counts }: TermPostings, renumbered: Int32Array): TermPostings {
  const kept: number[] = [];
  const keptCounts: number[] = [];
  numbers.forEach((old, at) => {
    const number = renumbered[old] ?? -1;
    if (number < 0) return;
    kept.push(number);
    keptCounts.push(counts[at] ?? 0);
  });
  return { numbers: Int32Array.from(kept), counts: Uint8Array.from(keptCounts) };
}

function concatenate(list: TermPostings[]): TermPostings {
  const size = list.reduce((sum, { counts }) => sum + counts.length, 0);
  const all = { numbers: new Int32Array(size), counts: new Uint8Array(size) };
  let at = 0;
  for (const { numbers, counts } of list) {
    all.numbers.set(numbers, at);
    all.counts.set(counts, at);
    at += counts.length;
  }
  return all;
}

function pack(postings: Map<number, TermPostings>, lengths: Uint16Array): PackedSegment {
  let bytes = 0;
  for (const { counts } of postings.values()) bytes += 8 + 5 * counts.length;
  const buckets = Math.min(maxBuckets, 2 ** Math.ceil(Math.log2(Math.max(1, bytes / bucketBytes))));
  const byBucket = new Map<number, [number, TermPostings][]>();
  for (const entry of [...postings].sort(([a], [b]) => a - b)) {
    const bucket = bucketOf(entry[0], buckets);
    const list = byBucket.get(bucket);
    if (list) list.push(entry);
    else byBucket.set(bucket, [entry]);
  }
  return {
    chunks: lengths.length,
    buckets,
    lengths: Buffer.from(lengths.buffer, lengths.byteOffset, lengths.byteLength),
    data: new Map([...byBucket].map(([bucket, list]) => [bucket, packBucket(list)])),
  };
}

function packBucket(list: [number, TermPostings][]): Buffer {
  const entries = list.reduce((sum, [, { counts }]) => sum + counts.length, 0);
  const head = 2 + 2 * list.length;
  const bytes = new Uint8Array(4 * (head + entries) + entries);
  const words = new Int32Array(bytes.buffer, 0, head + entries);
  words[0] = list.length;
  let at = 0;
  list.forEach(([place, { numbers, counts }], term) => {
    words[1 + 2 * term] = place;
    words[2 + 2 * term] = at;
    words.set(numbers, head + at);
    bytes.set(counts, 4 * (head + entries) + at);
    at += counts.length;
  });
  words[head - 1] = entries;
  return Buffer.from(bytes.buffer);
}
