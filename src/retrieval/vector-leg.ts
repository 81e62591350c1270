import type { Transaction } from '../platform/database.js';
import type { Leg } from './fusion.js';
import type { Permitted } from './permitted.js';
import type { PermittedPassages } from './permitted-passages.js';

// How deep the leg is read before the two are joined.
const legDepth = 100;

/** The semantic leg: exact cosine over every passage that is permitted. */
export async function nearest(
  tx: Transaction,
  { indexId }: Permitted,
  { segments }: PermittedPassages,
  vector: string,
): Promise<Leg> {
  const revisions = segments.flatMap(({ runs }) => runs.map(({ revisionId }) => revisionId));
  const rows = await tx.rows<{ id: string; score: number }>(
    `select v.chunk_id as id, 1 - (v.embedding <=> $1::vector) as score from chunk_vector v
     where v.index_id = ${indexId} and v.revision_id = any($2::uuid[])
     order by v.embedding <=> $1::vector, v.chunk_id limit ${legDepth}`,
    [vector, revisions],
  );
  return new Map(rows.map(({ id, score }) => [id, { score }]));
}
