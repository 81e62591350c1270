import type { Principal } from '../access/principal.js';
import { notFound } from '../errors.js';
import { openBase } from '../knowledge/knowledge-bases.js';
import { nearFrom } from '../knowledge/near-indexes.js';
import type { Transaction } from '../platform/database.js';
import type { EmbeddingWish } from '../platform/models/embedder.js';
import type { RankingTarget } from './permitted.js';

/** The vectors that an index was built with, and their size. */
export interface IndexModel {
  embedding: EmbeddingWish;
  dimensions: number;
}

/** What a question is asked of. `indexId` and `model` are null where nothing was ever published. */
export interface Target extends Omit<RankingTarget, 'indexId'> {
  indexId: number | null;
  model: IndexModel | null;
}

interface VersionRow {
  number: number;
  status: string;
  index_id: number | null;
  embedding: EmbeddingWish | null;
  dimensions: number | null;
  languages: string[] | null;
  near: boolean;
}

/**
 * @param wanted a version's number; undefined: the active one. One that is being judged is there for its judge only
 * @param vectorIndexFrom see the setting of this name; null: vectors are compared one by one, however many
 * @throws ApiError not_found for a base or version that is not there for this caller
 */
export async function readTarget(
  tx: Transaction,
  principal: Principal,
  shownBase: string,
  wanted: { version: number | undefined; judging?: boolean },
  vectorIndexFrom: number | null,
): Promise<Target> {
  const base = await openBase(tx, principal, shownBase);
  const row = await tx.row<VersionRow>(
    `select v.number, v.status, v.index_id, i.pipeline->'embedding' as embedding, i.dimensions, i.languages, i.near_since is not null as near
     from version v left join knowledge_index i on i.id = v.index_id
     where v.knowledge_base_id = $1 and v.number = $2`,
    [base.id, wanted.version ?? base.activeVersion],
  );
  const there = ['active', 'ready', ...(wanted.judging ? ['building'] : [])];
  if (!row || !there.includes(row.status)) throw notFound();
  const { embedding, dimensions } = row;
  const model = embedding && dimensions !== null ? { embedding, dimensions } : null;
  return {
    knowledgeBaseId: base.id,
    indexId: row.index_id,
    version: row.number,
    languages: (row.languages ?? []).toSorted(),
    model,
    nearFrom: model && row.near && vectorIndexFrom !== null ? nearFrom(vectorIndexFrom, model.dimensions) : null,
  };
}
