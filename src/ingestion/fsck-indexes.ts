import type { Database, TenantScope } from '../platform/database.js';
import type { Finding, Kind } from './fsck-report.js';

const pageSize = 1000;
const batchRows = 500;

type Table = 'chunk' | 'chunk_vector' | 'segment_revision';

const tables: { table: Table; key: string; kind: Kind }[] = [
  { table: 'chunk', key: 'id', kind: 'chunks_stray' },
  { table: 'chunk_vector', key: 'chunk_id', kind: 'vectors_stray' },
  { table: 'segment_revision', key: 'revision_id', kind: 'postings_stray' },
];

/** Rows of an index whose revision is gone. */
export async function checkStrays(database: Database, scope: TenantScope, indexId: number): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { table, key, kind } of tables) {
    for (const id of await strays(database, scope, table, indexId))
      findings.push({
        kind,
        where: `revision ${id} in index ${indexId}`,
        mend: async () => {
          const sql = `delete from ${table} where index_id = $1 and ${key} in (
            select ${key} from ${table} where index_id = $1 and revision_id = $2 limit ${batchRows})`;
          while ((await database.as(scope, (tx) => tx.run(sql, [indexId, id]))) === batchRows);
          return true;
        },
      });
  }
  return findings;
}

/** @returns the revisions that some rows name and that are not there */
async function strays(database: Database, scope: TenantScope, table: Table, indexId: number): Promise<string[]> {
  const found: string[] = [];
  let after = '00000000-0000-0000-0000-000000000000';
  for (;;) {
    const rows = await database.snapshot(scope, (tx) =>
      tx.rows<{ id: string; stray: boolean }>(
        `select x.id, not exists (select from revision r where r.id = x.id) as stray from (
           select distinct revision_id as id from ${table} where index_id = ${Math.trunc(indexId)} and revision_id > $1
           order by revision_id limit ${pageSize}) x order by x.id`,
        [after],
      ),
    );
    found.push(...rows.filter(({ stray }) => stray).map(({ id }) => id));
    after = rows.at(-1)?.id ?? after;
    if (rows.length < pageSize) return found;
  }
}

/** Segments whose numbers do not fit their chunks, or that lost their postings though their chunks have words. */
export async function checkSegments(database: Database, scope: TenantScope, indexId: number): Promise<Finding[]> {
  const rows = await database.snapshot(scope, (tx) =>
    tx.rows<{ no: number }>(
      `select s.no from segment s where s.index_id = $1 and (
         octet_length(s.lengths) <> 2 * s.chunks
         or exists (select from segment_revision r where r.index_id = $1 and r.segment_no = s.no and r.base + r.chunks > s.chunks)
         or (not exists (select from posting p where p.index_id = $1 and p.segment_no = s.no)
           and exists (select from segment_revision r join chunk c on c.index_id = $1 and c.revision_id = r.revision_id and c.tokens > 0
                       where r.index_id = $1 and r.segment_no = s.no)))`,
      [indexId],
    ),
  );
  return rows.map(({ no }) => ({
    kind: 'segment_broken',
    where: `segment ${no} of index ${indexId}`,
    // Its revisions are in no segment then, which is mended from their chunks.
    mend: async () =>
      (await database.as(scope, (tx) => tx.run('delete from segment where index_id = $1 and no = $2', [indexId, no]))) >
      0,
  }));
}

/** Tables of indexes that are gone: of a process that died while it dropped one. */
export async function checkTables(database: Database): Promise<Finding[]> {
  const rows = await database.asOwner((tx) =>
    tx.rows<{ name: string; id: number }>(
      `select c.relname as name, substring(c.relname from '\\d+$')::int as id from pg_class c join pg_inherits h on h.inhrelid = c.oid
       where h.inhparent in ('public.chunk'::regclass, 'public.chunk_vector'::regclass)`,
    ),
  );
  const there = await database.asSystem((tx) =>
    tx.rows<{ id: number }>('select id from knowledge_index where id = any($1::int[])', [rows.map(({ id }) => id)]),
  );
  const known = new Set(there.map(({ id }) => id));
  return rows
    .filter(({ id }) => !known.has(id))
    .map(({ name }) => ({
      kind: 'index_stray',
      where: `table ${name}`,
      mend: () =>
        database.asOwner(async (tx) => {
          await tx.run(`set local lock_timeout = '2s'`);
          await tx.run(`drop table if exists ${name}`);
          return true;
        }),
    }));
}
