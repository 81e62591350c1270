import { deleteDocument } from '../knowledge/document-changes.js';
import type { Postings } from '../knowledge/postings.js';
import type { Database, TenantScope, Transaction } from '../platform/database.js';
import { numbersKept } from './free-revision.js';
import type { Finding, Kind } from './fsck-report.js';
import type { Repair } from './repair.js';

/** A base that is checked, and with what it is mended. */
export interface CheckedBase extends TenantScope {
  id: string;
  indexIds: number[];
}

export interface Menders {
  database: Database;
  repair: Repair;
  postings: Postings;
}

/** What is stored of a revision in one index. */
interface Stored {
  id: string;
  document_id: string;
  /** A version of this index shows it whose rows are kept. */
  shown: boolean;
  parsed: boolean;
  chunks: number;
  /** One past the last ordinal. */
  reach: number;
  /** How many different sets of versions its chunks are shown by. */
  shapes: number;
  vectors: number;
  lost_vectors: number;
  /** How many chunks its segment has of it; null: it is in none. */
  postings: number | null;
}

/** Compares the revisions of some documents with their text, chunks, vectors and postings. */
export async function checkDocuments(base: CheckedBase, ids: string[], tools: Menders): Promise<Finding[]> {
  const findings = await tools.database.snapshot(base, (tx) => emptyDocuments(tx, base, ids, tools));
  const whole = new Set<string>();
  for (const indexId of base.indexIds) {
    const rows = await tools.database.snapshot(base, (tx) => storedOf(tx, base, indexId, ids));
    for (const row of rows) {
      if (row.chunks > 0) whole.add(row.id);
      findings.push(...judge(base, indexId, row, tools));
    }
  }
  return [...findings, ...(await lostWhole(base, ids, whole, tools))];
}

async function emptyDocuments(
  tx: Transaction,
  base: CheckedBase,
  ids: string[],
  { database }: Menders,
): Promise<Finding[]> {
  const rows = await tx.rows<{ id: string }>(
    `select d.id from document d where d.id = any($1::uuid[]) and d.deleted_at is null
       and not exists (select from revision r where r.document_id = d.id)`,
    [ids],
  );
  return rows.map(({ id }) => ({
    kind: 'document_without_revision',
    where: `document ${id}`,
    mend: async () => {
      await database.as(base, (write) => deleteDocument(write, base, base.id, id, { cause: 'check' }));
      return true;
    },
  }));
}

function storedOf(tx: Transaction, base: CheckedBase, indexId: number, ids: string[]): Promise<Stored[]> {
  const index = Math.trunc(indexId);
  return tx.rows<Stored>(
    `select r.id, r.document_id, exists (select from parse p where p.revision_id = r.id) as parsed,
       c.chunks, c.reach, c.shapes, coalesce(c.shown, false) as shown, v.vectors, v.lost_vectors, s.chunks as postings
     from revision r
       cross join lateral (
         select count(*)::int as chunks, coalesce(max(ordinal) + 1, 0) as reach, count(distinct visible)::int as shapes,
           bool_or(visible && ${numbersKept('$1', index)}) as shown
         from chunk where index_id = ${index} and revision_id = r.id) c
       cross join lateral (
         select count(*)::int as vectors,
           count(*) filter (where not exists (select from chunk x where x.index_id = ${index} and x.id = v.chunk_id))::int as lost_vectors
         from chunk_vector v where v.index_id = ${index} and v.revision_id = r.id) v
       left join segment_revision s on s.index_id = ${index} and s.revision_id = r.id
     where r.document_id = any($2::uuid[]) order by r.id`,
    [base.id, ids],
  );
}

/** What no version shows may be on its way in or out: only what has lost its owner is told of it. */
function judge(base: CheckedBase, indexId: number, row: Stored, { database, repair, postings }: Menders): Finding[] {
  const where = `revision ${row.id} in index ${indexId}`;
  const one = (kind: Kind, mend: () => Promise<unknown>): Finding => ({
    kind,
    where,
    mend: async () => (await mend()) !== false,
  });
  const run = (sql: string) => () => database.as(base, (tx) => tx.run(sql, [indexId, row.id]));
  const restore = () => repair.restore(base, row.id, indexId);
  const rebuild = async () => {
    await run(segmentEntry)();
    await postings.rebuild(base, indexId, row.id);
  };
  const lost = [
    row.lost_vectors > 0 && one('vectors_stray', run(strayVectors)),
    row.postings !== null && row.chunks === 0 && one('postings_stray', run(segmentEntry)),
  ];
  const missing = row.shown && [
    !row.parsed && one('text_missing', () => repair.restore(base, row.id, null)),
    row.chunks < Math.max(row.reach, row.postings ?? 0) && one('chunks_missing', restore),
    row.vectors - row.lost_vectors < row.chunks && one('vectors_missing', restore),
    (row.postings ?? 0) < row.reach && one('postings_missing', rebuild),
    row.shapes > 1 && one('shown_in_part', run(asTheFirst)),
  ];
  return [...lost, ...(missing || [])].filter((finding) => finding !== false);
}

const strayVectors = `delete from chunk_vector v where v.index_id = $1 and v.revision_id = $2
  and not exists (select from chunk c where c.index_id = $1 and c.id = v.chunk_id)`;

const segmentEntry = 'delete from segment_revision where index_id = $1 and revision_id = $2';

/** A revision is known by its first chunk, and shown as that is. */
const asTheFirst = `update chunk c set visible = first.visible
  from (select visible from chunk where index_id = $1 and revision_id = $2 order by ordinal limit 1) first
  where c.index_id = $1 and c.revision_id = $2 and c.visible <> first.visible`;

/** Ready revisions of which no chunk is left anywhere, though nobody freed them. */
async function lostWhole(
  base: CheckedBase,
  ids: string[],
  whole: ReadonlySet<string>,
  { database, repair }: Menders,
): Promise<Finding[]> {
  const rows = await database.snapshot(base, (tx) =>
    tx.rows<{ id: string; uploads: number | null }>(
      `select r.id, (select index_id from knowledge_base where id = $2) as uploads
       from revision r join document d on d.id = r.document_id and d.deleted_at is null
       where r.document_id = any($1::uuid[]) and r.status in ('staged', 'ready') and r.freed_at is null
         and not exists (select from pending_change p where p.revision_id = r.id)
         and not exists (select from chunk c join knowledge_index i on i.id = c.index_id and i.knowledge_base_id = $2 and not i.building where c.revision_id = r.id)`,
      [ids, base.id],
    ),
  );
  return rows
    .filter(({ id }) => !whole.has(id))
    .map(({ id, uploads }) => ({
      kind: 'chunks_missing',
      where: `revision ${id}`,
      mend: () => repair.restore(base, id, uploads),
    }));
}
