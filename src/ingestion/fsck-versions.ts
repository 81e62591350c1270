import type { Database, Transaction } from '../platform/database.js';
import type { CheckedBase } from './fsck-documents.js';
import type { Finding } from './fsck-report.js';

/** By version: how many documents and chunks it shows, as counted page by page. */
export type Tally = Map<number, { documents: number; chunks: number }>;

// Of a base that is edited all day, which keeps thousands of a day's versions, the newest are counted.
const mostVersions = 100;

const counted = `v.knowledge_base_id = $1 and v.index_id is not null and v.status <> 'retired'`;
const newest = `v.number >= coalesce((select min(number) from (
  select number from version where knowledge_base_id = $1 and status <> 'retired' order by number desc limit ${mostVersions}) x), 0)`;

/** As SQL: what versions show of chunks. */
const shows = (indexId: number, chunks: string, versions: string) =>
  `select v.number, count(*)::int as documents, coalesce(sum(c.chunks), 0)::int as chunks
   from version v join (
     select c.revision_id, count(*) as chunks, (array_agg(c.visible order by c.ordinal))[1] as visible
     from chunk c where c.index_id = ${Math.trunc(indexId)} and ${chunks} group by 1) c on c.visible @> v.number
   where ${counted} and v.index_id = ${Math.trunc(indexId)} and ${versions} group by 1`;

/** Counts what some documents contribute to each version. */
export async function tally(database: Database, base: CheckedBase, ids: string[], into: Tally): Promise<void> {
  for (const indexId of base.indexIds) {
    const rows = await database.snapshot(base, (tx) =>
      tx.rows<{ number: number; documents: number; chunks: number }>(
        shows(indexId, 'c.document_id = any($2::uuid[])', newest),
        [base.id, ids],
      ),
    );
    for (const { number, documents, chunks } of rows) {
      const sum = into.get(number) ?? { documents: 0, chunks: 0 };
      into.set(number, { documents: sum.documents + documents, chunks: sum.chunks + chunks });
    }
  }
}

/**
 * Compares what versions are said to show with what was counted. Counting took a while, so that whatever differs is
 * counted once more, at one moment.
 */
export async function checkStats(database: Database, base: CheckedBase, counts: Tally): Promise<Finding[]> {
  const rows = await database.snapshot(base, (tx) =>
    tx.rows<{ number: number; index_id: number; documents: number; chunks: number }>(
      `select v.number, v.index_id, (v.stats->>'documents')::int as documents, (v.stats->>'chunks')::int as chunks
       from version v where ${counted} and ${newest}`,
      [base.id],
    ),
  );
  const findings: Finding[] = [];
  for (const { number, index_id: indexId, documents, chunks } of rows) {
    const sum = counts.get(number) ?? { documents: 0, chunks: 0 };
    if (sum.documents === documents && sum.chunks === chunks) continue;
    const still = await database.snapshot(base, (tx) => differs(tx, base, indexId, number));
    if (!still) continue;
    findings.push({
      kind: 'version_stats',
      where: `version ${number} of base ${base.id}`,
      mend: () => database.as(base, (tx) => setStats(tx, base, indexId, number)),
    });
  }
  return findings;
}

async function differs(tx: Transaction, base: CheckedBase, indexId: number, number: number): Promise<boolean> {
  const row = await tx.row<{ differs: boolean }>(
    `select (v.stats->>'documents')::int <> coalesce(s.documents, 0) or (v.stats->>'chunks')::int <> coalesce(s.chunks, 0) as differs
     from version v left join (${shows(indexId, 'c.visible @> $2::int', 'v.number = $2::int')}) s on s.number = v.number
     where v.knowledge_base_id = $1 and v.number = $2`,
    [base.id, number],
  );
  return row?.differs === true;
}

async function setStats(tx: Transaction, base: CheckedBase, indexId: number, number: number): Promise<boolean> {
  // As publishing does: it counts on from what it finds.
  await tx.run('select 1 from knowledge_base where id = $1 for no key update', [base.id]);
  await tx.run(
    `update version v set stats = v.stats || jsonb_build_object('documents', coalesce(s.documents, 0), 'chunks', coalesce(s.chunks, 0))
     from (select 1) x left join (${shows(indexId, 'c.visible @> $2::int', 'v.number = $2::int')}) s on true
     where v.knowledge_base_id = $1 and v.number = $2`,
    [base.id, number],
  );
  return true;
}

/** The version that the base points at is the active one, and no other is. */
export async function checkPointer(database: Database, base: CheckedBase): Promise<Finding[]> {
  const wrong = `v.knowledge_base_id = $1 and (v.status = 'active') <> (v.number = (select active_version from knowledge_base where id = $1))`;
  const rows = await database.snapshot(base, (tx) =>
    tx.rows<{ number: number; status: string }>(`select v.number, v.status from version v where ${wrong}`, [base.id]),
  );
  return rows.map(({ number, status }) => ({
    kind: 'version_status',
    where: `version ${number} of base ${base.id} is ${status}`,
    mend: () =>
      database.as(base, async (tx) => {
        await tx.run('select 1 from knowledge_base where id = $1 for no key update', [base.id]);
        const mended = await tx.run(
          `update version v set status = case when v.status = 'active' then 'ready' else 'active' end where ${wrong} and v.number = $2
             and v.status in ('active', 'ready')`,
          [base.id, number],
        );
        return mended > 0;
      }),
  }));
}
