import type { Principal } from '../access/principal.js';
import { notFound } from '../errors.js';
import { permittedBase } from '../knowledge/knowledge-bases.js';
import { nearFrom } from '../knowledge/near-indexes.js';
import type { Written } from '../platform/database.js';
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

/** What {@link askTarget} is answered. */
export interface TargetRow {
  base: string;
  number: number;
  status: string;
  index_id: number | null;
  embedding: EmbeddingWish | null;
  dimensions: number | null;
  languages: string[] | null;
  near: boolean;
}

/**
 * The statement that asks for a target.
 * @param version its number; undefined: the active one
 * @throws ApiError not_found for a base that is not there for this caller
 */
export function askTarget(principal: Principal, shownBase: string, version: number | undefined): Written {
  return {
    sql: `select b.id as base, v.number, v.status, v.index_id, i.pipeline->'embedding' as embedding, i.dimensions, i.languages,
        i.near_since is not null as near
      from knowledge_base b
        join version v on v.knowledge_base_id = b.id and v.number = ${version === undefined ? 'b.active_version' : '$2'}
        left join knowledge_index i on i.id = v.index_id
      where b.id = $1 and b.deleted_at is null`,
    parameters: [permittedBase(principal, shownBase), ...(version === undefined ? [] : [String(version)])],
  };
}

/**
 * @param judging whether it may be a version that is being judged, which is there for its judge only
 * @param vectorIndexFrom see the setting of this name; null: vectors are compared one by one, however many
 * @throws ApiError not_found for a base or version that is not there
 */
export function targetOf(row: TargetRow | undefined, judging: boolean, vectorIndexFrom: number | null): Target {
  const there = ['active', 'ready', ...(judging ? ['building'] : [])];
  if (!row || !there.includes(row.status)) throw notFound();
  const { embedding, dimensions } = row;
  const model = embedding && dimensions !== null ? { embedding, dimensions } : null;
  return {
    knowledgeBaseId: row.base,
    indexId: row.index_id,
    version: row.number,
    languages: (row.languages ?? []).toSorted(),
    model,
    nearFrom: model && row.near && vectorIndexFrom !== null ? nearFrom(vectorIndexFrom, model.dimensions) : null,
  };
}
