import { type Principal, visibleTo } from '../access/principal.js';
import type { Transaction } from '../platform/database.js';
import { uuidIn } from '../platform/ids.js';
import type { ArrangedRow } from './arrange.js';
import { filterCondition } from './filter.js';
import type { LexicalLeg } from './lexical-leg.js';
import type { Permitted } from './permitted.js';
import type { Ranking } from './ranking.js';

/** Why a document is in a search's list, or is not. */
export type Reason =
  'listed' | 'unknown' | 'not_permitted' | 'not_in_version' | 'filtered' | 'duplicate' | 'ranked_below' | 'not_matched';

export interface Whereabouts {
  reason: Reason;
  /** Of its best passage among all that may be seen, from 1, before anything is left out; null: not ranked, or too far down. */
  rank: number | null;
}

/** Who asks, and for whom: somebody who may read everything may ask what another one would be shown. */
export interface Askers {
  asker: Principal;
  searcher: Principal;
}

const because = (reason: Reason): Whereabouts => ({ reason, rank: null });

/**
 * What stands in the way of a document before anything is ranked. What the asker may not see is `unknown`, as what is not
 * there: one and the same statement finds neither.
 * @returns null: nothing does
 */
export async function obstacle(
  tx: Transaction,
  { asker, searcher }: Askers,
  target: { knowledgeBaseId: string; indexId: number | null; version: number },
  filter: unknown,
  shownId: string,
): Promise<Whereabouts | null> {
  const parameters: unknown[] = [target.knowledgeBaseId, uuidIn('doc', shownId), target.version];
  const index = target.indexId === null ? 'null::int' : `${Math.trunc(target.indexId)}`;
  const row = await tx.row<{ permitted: boolean; published: boolean; matching: boolean }>(
    `select (${visibleTo(searcher, parameters)}) as permitted,
       exists (select from chunk c where c.index_id = ${index} and c.document_id = d.id and c.visible @> $3::int) as published,
       (${filter === undefined ? 'true' : filterCondition(filter, parameters)}) as matching
     from document d where d.knowledge_base_id = $1 and d.id = $2::uuid and ${visibleTo(asker, parameters)}`,
    parameters,
  );
  if (!row) return because('unknown');
  if (!row.permitted) return because('not_permitted');
  if (!row.published) return because('not_in_version');
  return row.matching ? null : because('filtered');
}

/**
 * The rank of a document's best passage. Beyond what the legs gave, passages follow by their words alone, as they would
 * have been taken; of vectors nothing is known there.
 */
export async function rankOf(
  tx: Transaction,
  lexical: LexicalLeg,
  permitted: Permitted,
  { asked, what, fused }: Ranking,
  shownId: string,
): Promise<Whereabouts> {
  const parameters = [...permitted.parameters];
  const own = await tx.rows<{ id: string }>(
    `select c.id from chunk c join document d on d.id = c.document_id
     where c.index_id = ${permitted.indexId} and c.document_id = $${parameters.push(uuidIn('doc', shownId))}::uuid
       and c.visible @> ${permitted.version} and ${permitted.condition}`,
    parameters,
  );
  const ids = new Set(own.map(({ id }) => id));
  const near = fused.findIndex(({ id }) => ids.has(id));
  if (near >= 0) return { reason: 'ranked_below', rank: near + 1 };
  const before = new Set(fused.map(({ id }) => id));
  const further = asked.length === 0 ? [] : await lexical.everything(tx, permitted, what, asked);
  const far = further.filter((id) => !before.has(id)).findIndex((id) => ids.has(id));
  if (far >= 0) return { reason: 'ranked_below', rank: fused.length + far + 1 };
  // Every passage has a vector: one that the semantic leg alone does not hold is further away than all it does.
  return { reason: asked.length > 0 ? 'not_matched' : 'ranked_below', rank: null };
}

/** The same in the light of what is shown. */
export function shownAs({ reason, rank }: Whereabouts, shownId: string, rows: ArrangedRow[]): Whereabouts {
  const id = uuidIn('doc', shownId) ?? '';
  if (reason !== 'ranked_below') return { reason, rank };
  if (rows.some((row) => row.document_id === id)) return { reason: 'listed', rank };
  return { reason: rows.some(({ repeats }) => repeats.includes(id)) ? 'duplicate' : reason, rank };
}
