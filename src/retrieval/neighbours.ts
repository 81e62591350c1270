import { chunkId } from '../knowledge/chunks.js';
import type { Transaction } from '../platform/database.js';
import type { Permitted } from './permitted.js';
import type { RankedRow } from './ranking.js';

/** What stands before and after a passage in its revision; empty at the beginning and the end. */
export interface Neighbours {
  before: string;
  after: string;
}

/**
 * The text of the passages around these, for whoever may still see them.
 * @param reach how many passages on each side
 * @returns by chunk id of the passage in the middle
 */
export async function readNeighbours(
  tx: Transaction,
  permitted: Permitted,
  rows: readonly Pick<RankedRow, 'chunk_id' | 'revision_id' | 'ordinal'>[],
  reach: number,
): Promise<Map<string, Neighbours>> {
  const around = rows.map(({ chunk_id: id, revision_id: revision, ordinal }) => {
    const steps = Array.from({ length: reach }, (_, step) => step + 1);
    return {
      id,
      before: steps
        .filter((step) => step <= ordinal)
        .map((step) => chunkId(revision, ordinal - step))
        .toReversed(),
      after: steps.map((step) => chunkId(revision, ordinal + step)),
    };
  });
  const parameters = [...permitted.parameters];
  const wanted = `$${parameters.push([...new Set(around.flatMap(({ before, after }) => [...before, ...after]))])}::uuid[]`;
  const found = await tx.rows<{ id: string; text: string }>(
    `select c.id, c.text from chunk c join document d on d.id = c.document_id
     where c.index_id = ${permitted.indexId} and c.id = any(${wanted}) and c.visible @> ${permitted.version} and ${permitted.condition}`,
    parameters,
  );
  const texts = new Map(found.map(({ id, text }) => [id, text]));
  const joined = (ids: string[]) => ids.flatMap((id) => texts.get(id) ?? []).join('\n\n');
  return new Map(around.map(({ id, before, after }) => [id, { before: joined(before), after: joined(after) }]));
}
