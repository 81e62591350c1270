import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { Bucket, bucketOf, type TermPostings } from '../knowledge/posting-format.js';
import type { Transaction } from '../platform/database.js';

const maxBytes = 64 * 1024 * 1024;

interface Header {
  buckets: number;
  lengths: Uint16Array;
}

/** A segment's lengths and, for each term asked for, its postings. */
export interface SegmentPostings {
  lengths: Uint16Array;
  postings: (TermPostings | undefined)[];
}

interface HeaderRow {
  no: number;
  buckets: number;
  lengths: string;
}

interface BucketRow {
  segment: number;
  bucket: number;
  data: string;
}

/** A bucket that holds no term, which is as good to know. */
const empty = new Bucket(Buffer.alloc(8));

/**
 * Reads postings from the database and keeps the latest used. Segments never change, so nothing is ever stale: what was
 * deleted or merged is simply not asked for again. Which segments to ask for is the caller's to know.
 */
@Injectable()
export class PostingCache {
  private readonly headers = new LRUCache<number, Header>({
    maxSize: maxBytes / 4,
    sizeCalculation: ({ lengths }) => lengths.byteLength + 64,
  });
  private readonly buckets = new LRUCache<string, Bucket>({
    maxSize: maxBytes,
    sizeCalculation: ({ bytes }) => bytes + 128,
  });

  /**
   * @param tx a transaction on one snapshot: a merge meanwhile would remove the segments it found
   * @param places the terms, as places of a term vector
   * @returns in the order of `segments`
   */
  async load(tx: Transaction, indexId: number, segments: number[], places: number[]): Promise<SegmentPostings[]> {
    const headers = await this.loadHeaders(tx, indexId, segments);
    const wanted = segments.flatMap((segment, at) =>
      [...new Set(places.map((place) => bucketOf(place, headers[at]?.buckets ?? 1)))].map((bucket) => ({
        segment,
        bucket,
      })),
    );
    const buckets = await this.loadBuckets(tx, indexId, wanted);
    return segments.map((segment, at) => {
      const { lengths, buckets: count } = headers[at] ?? { lengths: new Uint16Array(), buckets: 1 };
      const postings = places.map((place) => buckets.get(keyOf(segment, bucketOf(place, count)))?.find(place));
      return { lengths, postings };
    });
  }

  /**
   * Lets go of segments that were merged into others: nobody asks for them, but they hold words of what was deleted.
   * @param tx as the system
   */
  async forgetMerged(tx: Transaction): Promise<void> {
    const cached = [...new Set([...this.headers.keys(), ...[...this.buckets.keys()].map(segmentOf)])];
    if (cached.length === 0) return;
    const rows = await tx.rows<{ no: number }>('select no from segment where no = any($1::int[])', [cached]);
    const there = new Set(rows.map(({ no }) => no));
    for (const no of cached) if (!there.has(no)) this.headers.delete(no);
    for (const key of this.buckets.keys()) if (!there.has(segmentOf(key))) this.buckets.delete(key);
  }

  private async loadHeaders(tx: Transaction, indexId: number, segments: number[]): Promise<Header[]> {
    const known = new Map(segments.map((segment) => [segment, this.headers.get(segment)]));
    const missing = segments.filter((segment) => known.get(segment) === undefined);
    if (missing.length > 0) {
      const rows = await tx.rows<HeaderRow>(
        `select no, buckets, encode(lengths, 'base64') as lengths from segment where index_id = $1 and no = any($2::int[])`,
        [indexId, missing],
      );
      for (const { no, buckets, lengths } of rows) {
        const header = { buckets, lengths: new Uint16Array(new Uint8Array(Buffer.from(lengths, 'base64')).buffer) };
        known.set(no, header);
        this.headers.set(no, header);
      }
    }
    return segments.map((segment) => {
      const header = known.get(segment);
      if (!header) throw new Error(`segment ${segment} is not there although the snapshot names it`);
      return header;
    });
  }

  private async loadBuckets(
    tx: Transaction,
    indexId: number,
    wanted: { segment: number; bucket: number }[],
  ): Promise<Map<string, Bucket>> {
    const found = new Map<string, Bucket>();
    const missing: typeof wanted = [];
    for (const place of wanted) {
      const key = keyOf(place.segment, place.bucket);
      const known = this.buckets.get(key);
      if (known) found.set(key, known);
      else missing.push(place);
    }
    if (missing.length === 0) return found;
    const rows = await tx.rows<BucketRow>(
      `select p.segment_no as segment, p.bucket, encode(p.data, 'base64') as data
       from unnest($2::int[], $3::int[]) w(segment, bucket) join posting p on p.index_id = $1 and p.segment_no = w.segment and p.bucket = w.bucket`,
      [indexId, missing.map(({ segment }) => segment), missing.map(({ bucket }) => bucket)],
    );
    const read = new Map(rows.map(({ segment, bucket, data }) => [keyOf(segment, bucket), data]));
    for (const { segment, bucket } of missing) {
      const key = keyOf(segment, bucket);
      const data = read.get(key);
      const loaded = data === undefined ? empty : new Bucket(Buffer.from(data, 'base64'));
      found.set(key, loaded);
      this.buckets.set(key, loaded);
    }
    return found;
  }
}

const keyOf = (segment: number, bucket: number): string => `${segment}:${bucket}`;

const segmentOf = (key: string): number => Number(key.split(':', 1)[0]);
