import { Injectable } from '@nestjs/common';
import type { Principal } from '../access/principal.js';
import { Database, type Transaction } from '../platform/database.js';
import { openBase } from './knowledge-bases.js';
import { walk } from './version-changes.js';

// A base that is edited all day keeps thousands of a day's versions; these are the newest of them.
const mostVersions = 200;

export interface VersionUse {
  number: number;
  status: string;
  documents: number;
  chunks: number;
  ownChunks: number;
  createdAt: Date;
}

/** What a base takes up. It counts documents that the caller may not see: for those who manage bases. */
@Injectable()
export class Storage {
  constructor(private readonly database: Database) {}

  /**
   * Bytes of text and indexes as they lie on the disk, compressed and with the room that updates leave. `ownChunks` are
   * those that no other version shows that is kept: what retiring this one would free.
   */
  async report(principal: Principal, base: string) {
    return this.database.snapshot(principal, async (tx) => {
      const { id } = await openBase(tx, principal, base);
      return {
        ...(await contents(tx, id)),
        indexes: await indexesOf(tx, id),
        versions: await versionsOf(tx, id),
      };
    });
  }
}

async function contents(tx: Transaction, id: string) {
  const row = await tx.row<{ documents: number; revisions: number; text: string; count: number; bytes: string }>(
    `with kept as materialized (
       select r.id, r.content_hash, r.byte_size from document d join revision r on r.document_id = d.id
       where d.knowledge_base_id = $1 and d.deleted_at is null),
     blobs as (select content_hash, max(byte_size) as bytes from kept group by content_hash)
     select (select count(*)::int from document where knowledge_base_id = $1 and deleted_at is null) as documents,
       (select count(*)::int from kept) as revisions,
       (select coalesce(sum(pg_column_size(p.text) + pg_column_size(p.blocks) + pg_column_size(p.pages)), 0)
        from kept k join parse p on p.revision_id = k.id) as text,
       (select count(*)::int from blobs) as count, (select coalesce(sum(bytes), 0) from blobs) as bytes`,
    [id],
  );
  return {
    documents: row?.documents ?? 0,
    revisions: row?.revisions ?? 0,
    blobs: { count: row?.count ?? 0, bytes: Number(row?.bytes ?? 0) },
    text: { bytes: Number(row?.text ?? 0) },
  };
}

async function indexesOf(tx: Transaction, id: string) {
  const rows = await tx.rows<{ id: number; model: string; dimensions: number; chunks: string; bytes: string }>(
    `select i.id, i.embedding_model as model, i.dimensions,
       (select coalesce(sum(s.chunks), 0) from segment_revision s where s.index_id = i.id) as chunks,
       coalesce(pg_total_relation_size(to_regclass('public.chunk_' || i.id)), 0)
         + coalesce(pg_total_relation_size(to_regclass('public.chunk_vector_' || i.id)), 0)
         + (select coalesce(sum(octet_length(p.data)), 0) from posting p where p.index_id = i.id) as bytes
     from knowledge_index i where i.knowledge_base_id = $1 order by i.id`,
    [id],
  );
  return rows.map((row) => ({ ...row, chunks: Number(row.chunks), bytes: Number(row.bytes) }));
}

async function versionsOf(tx: Transaction, id: string) {
  const rows = await tx.rows<Omit<VersionUse, 'ownChunks'> & { alone: boolean }>(
    `select number, status, (stats->>'documents')::int as documents, (stats->>'chunks')::int as chunks, created_at as "createdAt",
       count(*) over (partition by index_id) = 1 as alone
     from version where knowledge_base_id = $1 and status <> 'retired' order by number desc limit ${mostVersions + 1}`,
    [id],
  );
  const own = await ownChunks(tx, id);
  return rows
    .slice(0, mostVersions)
    .map(({ alone, ...row }): VersionUse => ({ ...row, ownChunks: alone ? row.chunks : (own.get(row.number) ?? 0) }));
}

/**
 * What only one version shows that is kept, of several in the same index, was changed on the way from it to another one
 * there: nothing else is looked at. A version of another index shows other chunks, whatever its number is.
 */
async function ownChunks(tx: Transaction, id: string): Promise<Map<number, number>> {
  const pairs = `select number, next from (select number, lead(number) over (partition by index_id order by number) as next
    from version where knowledge_base_id = $1 and status <> 'retired') k where next is not null`;
  const rows = await tx.rows<{ number: number; chunks: number }>(
    `with recursive ${walk('$1', pairs)},
     kept as (
       select index_id, range_agg(int4range(number, number, '[]')) as numbers from version
       where knowledge_base_id = $1 and status <> 'retired' and index_id is not null group by index_id),
     changed as materialized (
       select distinct x.id from version_change c cross join lateral (values (c.before), (c.after)) x (id)
       where c.knowledge_base_id = $1 and c.number in (select step from walk) and x.id is not null)
     select lower(shown.by) as number, sum(s.chunks)::int as chunks
     from changed cross join kept join segment_revision s on s.index_id = kept.index_id and s.revision_id = changed.id
       join chunk c on c.index_id = s.index_id and c.revision_id = s.revision_id and c.ordinal = 0
       cross join lateral (select range_merge(c.visible * kept.numbers) as by) shown
     where upper(shown.by) - lower(shown.by) = 1 group by 1`,
    [id],
  );
  return new Map(rows.map(({ number, chunks }) => [number, chunks]));
}
