import type { Transaction } from '../platform/database.js';

/** A revision that no version shows which is kept, nor any that could be built on one. */
export interface Freeable {
  id: string;
  knowledgeBaseId: string;
  contentHash: string;
}

/**
 * As SQL: the rows of a version are kept. Those of the last one are, whatever became of it, and those of the last one that
 * stands in an index: the next one there begins with what it shows.
 * @param base the parameter that is the base's id
 */
export const rowsKept = (version: string, base: string): string =>
  `(${version}.status <> 'retired' or ${version}.number = (select last_version from knowledge_base where id = ${base})
    or ${version}.number is not distinct from (select max(h.number) from version h where h.knowledge_base_id = ${base} and h.index_id = ${version}.index_id))`;

/** As SQL: the numbers of an index's versions whose rows are kept, see {@link rowsKept}. Those of others show nothing of it. */
export const numbersKept = (base: string, indexId: number): string =>
  `(select coalesce(range_agg(int4range(k.number, k.number, '[]')), '{}') from (
     select number from version where knowledge_base_id = ${base} and index_id = ${indexId} and status <> 'retired'
     union all select max(number) from version where knowledge_base_id = ${base} and index_id = ${indexId}) k
   where k.number is not null)`;

/**
 * As SQL over `revision r`: all of its work is done, nobody holds it, and no version that is kept shows its chunks. Staged
 * revisions are shown by none yet, and are no longer if a sync holds them or a change waits. Indexes are written out: only
 * then does the planner leave the partitions of others alone.
 * @param base the parameter that is the base's id
 */
const unneeded = (base: string, indexIds: readonly number[]): string =>
  `r.knowledge_base_id = ${base} and r.status in ('ready', 'superseded', 'failed') and r.sync_id is null
   and not exists (select from pending_change p where p.document_id = r.document_id and p.revision_id = r.id)
   and not exists (select from document d where d.id = r.document_id and d.deleted_at is not null)
   ${indexIds
     .map(
       (id) => `and not exists (select from chunk c where c.index_id = ${Math.trunc(id)} and c.revision_id = r.id
         and c.ordinal = 0 and c.visible && ${numbersKept(base, Math.trunc(id))})`,
     )
     .join('\n')}`;

/**
 * As SQL over `revision r`: it is not what its document shows of itself, which is the newest that nothing has superseded, or
 * the newest of all; nor the last one that could be read.
 */
export const replaced = `exists (select from revision n where n.document_id = r.document_id and n.id <> r.id and (
    (r.status = 'superseded' and (n.number > r.number or n.status <> 'superseded'))
    or (n.number > r.number and n.status not in ('failed', 'superseded') and n.sync_id is null)))`;

/**
 * As SQL over `revision r`: it never answered and never will, or was kept without its chunks until something newer came.
 * @param hours the parameter that is the least age
 */
export const unanswered = (hours: string): string =>
  `r.status in ('superseded', 'failed') and (r.ready_at is null or r.freed_at is not null) and r.sync_id is null
     and r.created_at < now() - make_interval(hours => ${hours}) and ${replaced}
     and not exists (select from document d where d.id = r.document_id and d.deleted_at is not null)`;

export async function indexesOf(tx: Transaction, knowledgeBaseId: string): Promise<number[]> {
  const rows = await tx.rows<{ id: number }>(
    'select id from knowledge_index where knowledge_base_id = $1 order by id',
    [knowledgeBaseId],
  );
  return rows.map(({ id }) => id);
}

/** @returns those of the revisions whose chunks may go */
export async function freeable(tx: Transaction, knowledgeBaseId: string, ids: string[]): Promise<Freeable[]> {
  return tx.rows<Freeable>(
    `select r.id, r.knowledge_base_id as "knowledgeBaseId", r.content_hash as "contentHash"
     from revision r where r.id = any($2::uuid[]) and ${unneeded('$1', await indexesOf(tx, knowledgeBaseId))}`,
    [knowledgeBaseId, ids],
  );
}

/**
 * Removes some chunks of a revision with their vectors; with the last of them its postings, and the revision with its text
 * unless that is what its document shows of itself.
 * @returns `more`: some are left; `kept`: only the chunks went; `busy`: somebody holds it, or it is needed after all
 */
export async function freeSome(
  tx: Transaction,
  { id, knowledgeBaseId }: Freeable,
  limit: number,
): Promise<'more' | 'gone' | 'kept' | 'busy'> {
  // Revisions before chunks, as publishing locks them.
  const locked = await tx.row<object>('select 1 from revision where id = $1 for update skip locked', [id]);
  const indexIds = await indexesOf(tx, knowledgeBaseId);
  const sql = `select ${replaced} as replaced from revision r where r.id = $2 and ${unneeded('$1', indexIds)}`;
  const revision = locked ? await tx.row<{ replaced: boolean }>(sql, [knowledgeBaseId, id]) : null;
  if (!revision) return 'busy';
  for (const indexId of indexIds) if ((await removeChunks(tx, indexId, id, limit)) === limit) return 'more';
  for (const indexId of indexIds)
    await tx.run('delete from segment_revision where index_id = $1 and revision_id = $2', [indexId, id]);
  const gone = revision.replaced ? await tx.run('delete from revision where id = $1', [id]) : 0;
  if (gone === 0) await tx.run('update revision set freed_at = now() where id = $1 and freed_at is null', [id]);
  return gone > 0 ? 'gone' : 'kept';
}

async function removeChunks(tx: Transaction, indexId: number, revisionId: string, limit: number): Promise<number> {
  const rows = await tx.rows<{ id: string }>(
    `delete from chunk where index_id = $1 and id in (
       select id from chunk where index_id = $1 and revision_id = $2 order by ordinal desc limit $3) returning id`,
    [indexId, revisionId, limit],
  );
  await tx.run('delete from chunk_vector where index_id = $1 and chunk_id = any($2::uuid[])', [
    indexId,
    rows.map((row) => row.id),
  ]);
  return rows.length;
}
