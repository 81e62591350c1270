import { type Principal, visibleTo } from '../access/principal.js';
import { filterCondition } from './filter.js';

/** The index a version stands in, and how to ask it. */
export interface RankingTarget {
  knowledgeBaseId: string;
  indexId: number;
  /** What the documents of the index are in, as ISO 639-1 codes: of all of them, also of those the caller may not see. */
  languages: readonly string[];
  version: number;
  /** From how many candidates on the index of its vectors is searched approximately; null: it is not. */
  nearFrom: number | null;
}

/** What a caller may search: the documents, as a condition over `document d`, and the chunks of one version. */
export interface Permitted {
  condition: string;
  parameters: readonly unknown[];
  /** Written out in statements, not bound: only then does the planner leave the other indexes' partitions alone. */
  indexId: number;
  /** Written out as well. */
  version: string;
  languages: readonly string[];
  nearFrom: number | null;
}

/** What this caller may search there, of what the filter leaves. */
export function permittedTo(principal: Principal, target: RankingTarget, filter: unknown): Permitted {
  const parameters: unknown[] = [target.knowledgeBaseId];
  const visible = visibleTo(principal, parameters);
  const matching = filter === undefined ? 'true' : filterCondition(filter, parameters);
  return {
    condition: `d.knowledge_base_id = $1 and ${visible} and ${matching}`,
    parameters,
    indexId: Math.trunc(target.indexId),
    version: `${Math.trunc(target.version)}::int`,
    languages: target.languages,
    nearFrom: target.nearFrom,
  };
}
