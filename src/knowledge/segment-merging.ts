import { Injectable } from '@nestjs/common';
import { Database, type TenantScope, type Transaction } from '../platform/database.js';
import { Bucket, type MergePart, mergeSegments } from './posting-format.js';
import { type IndexedRevision, insertSegment } from './postings.js';

// Every search looks into every segment: 51 of them took 2.6 ms where 2 took 1.4 (100,000 chunks).
const fanOut = 16;
// Segments are of one size when the numbers of their chunks have as many digits in base 16.
const sizeClass = (chunks: number): number => Math.floor(Math.log2(Math.max(chunks, 1)) / 4);
// A merge holds its postings in memory, some 500 bytes a chunk.
const maxChunks = 250_000;

interface SegmentRow {
  no: number;
  chunks: number;
  /** How many of its chunks belong to revisions that are still there. */
  kept: number;
}

interface Part extends MergePart {
  no: number;
  revisions: IndexedRevision[];
}

/** Keeps the segments of an index few, and frees them of what was deleted. */
@Injectable()
export class SegmentMerging {
  constructor(private readonly database: Database) {}

  /** The indexes with too many segments of one size, or with postings of chunks that are gone: those that merging mends. */
  async due(): Promise<{ indexId: number; tenantId: string }[]> {
    const rows = await this.database.onceAsSystem<{ index_id: number; tenant_id: string }>(
      `select distinct index_id, tenant_id from (
           select s.index_id, s.tenant_id from segment s left join lateral
             (select coalesce(sum(r.chunks), 0)::bigint as kept from segment_revision r where r.index_id = s.index_id and r.segment_no = s.no) k on true
           group by s.index_id, s.tenant_id, length(to_hex(greatest(k.kept, 1)))
           having (count(*) >= ${fanOut} and sum(k.kept) <= ${maxChunks}) or bool_or(k.kept < s.chunks)) due limit 1000`,
    );
    return rows.map((row) => ({ indexId: row.index_id, tenantId: row.tenant_id }));
  }

  /** Merges what is due in one index. Whatever changes meanwhile is left for the next time. */
  async merge(scope: TenantScope, indexId: number): Promise<void> {
    for (const group of dueGroups(await this.segments(scope, indexId))) {
      const parts: Part[] = [];
      let base = 0;
      for (const { no } of group) {
        const part = await this.read(scope, indexId, no, base);
        base += part.revisions.reduce((sum, { chunks }) => sum + chunks, 0);
        parts.push(part);
      }
      const merged = base === 0 ? null : mergeSegments(parts);
      await this.database.as(scope, async (tx) => {
        if (!(await unchanged(tx, indexId, parts))) return;
        const revisions = parts.flatMap((part) => part.revisions);
        if (merged) await insertSegment(tx, scope, indexId, merged, revisions);
        await tx.run('delete from segment where index_id = $1 and no = any($2::int[])', [indexId, numbers(parts)]);
      });
    }
  }

  private segments(scope: TenantScope, indexId: number): Promise<SegmentRow[]> {
    return this.database.as(scope, (tx) =>
      tx.rows<SegmentRow>(
        `select s.no, s.chunks, coalesce(sum(r.chunks), 0)::int as kept
         from segment s left join segment_revision r on r.index_id = s.index_id and r.segment_no = s.no
         where s.index_id = $1 group by s.no, s.chunks order by s.no`,
        [indexId],
      ),
    );
  }

  /** One segment with its kept chunks renumbered from `base`. Segments never change, so no transaction spans the parts. */
  private async read(scope: TenantScope, indexId: number, no: number, base: number): Promise<Part> {
    return this.database.as(scope, async (tx) => {
      const segment = await tx.row<{ lengths: Buffer }>('select lengths from segment where index_id = $1 and no = $2', [
        indexId,
        no,
      ]);
      const revisions = await tx.rows<IndexedRevision & { base: number }>(
        `select revision_id as id, document_id as "documentId", base, chunks, language from segment_revision
         where index_id = $1 and segment_no = $2 order by base`,
        [indexId, no],
      );
      const stored = await tx.rows<{ data: Buffer }>(
        'select data from posting where index_id = $1 and segment_no = $2',
        [indexId, no],
      );
      const lengths = new Uint16Array(new Uint8Array(segment?.lengths ?? []).buffer);
      const renumbered = new Int32Array(lengths.length).fill(-1);
      let next = base;
      for (const { base: old, chunks } of revisions) {
        for (let chunk = 0; chunk < chunks; chunk++) renumbered[old + chunk] = next++;
      }
      return { no, revisions, lengths, renumbered, buckets: stored.map(({ data }) => new Bucket(data)) };
    });
  }
}

/** Groups of segments of a size, when there are many; any other that holds what was deleted, by itself. */
function dueGroups(segments: SegmentRow[]): SegmentRow[][] {
  const classes = new Map<number, SegmentRow[]>();
  for (const segment of segments) {
    const size = sizeClass(segment.kept);
    classes.set(size, [...(classes.get(size) ?? []), segment]);
  }
  return [...classes.values()].flatMap((group) => {
    const chunks = group.reduce((sum, { kept }) => sum + kept, 0);
    if (group.length >= fanOut && chunks <= maxChunks) return [group];
    return group.filter(({ kept, chunks: all }) => kept < all).map((segment) => [segment]);
  });
}

/** Locks the segments, and says whether they still hold exactly the revisions that were read. */
async function unchanged(tx: Transaction, indexId: number, parts: Part[]): Promise<boolean> {
  const locked = await tx.rows(
    'select no from segment where index_id = $1 and no = any($2::int[]) order by no for update',
    [indexId, numbers(parts)],
  );
  const there = await tx.rows<{ id: string }>(
    'select revision_id as id from segment_revision where index_id = $1 and segment_no = any($2::int[]) for update',
    [indexId, numbers(parts)],
  );
  const read = new Set(parts.flatMap((part) => part.revisions.map(({ id }) => id)));
  return locked.length === parts.length && there.length === read.size && there.every(({ id }) => read.has(id));
}

const numbers = (parts: Part[]): number[] => parts.map(({ no }) => no);
