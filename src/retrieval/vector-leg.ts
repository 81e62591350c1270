import { nearColumn } from '../knowledge/near-indexes.js';
import type { Transaction } from '../platform/database.js';
import type { Leg } from './fusion.js';
import type { Permitted } from './permitted.js';
import type { PermittedPassages } from './permitted-passages.js';

// How deep the leg is read before the two are joined.
const legDepth = 100;

// The approximate way takes so many more, which are then put into their exact order.
const nearDepth = 1.5 * legDepth;

// An index is left after 20,000 vectors: where fewer than one in so many is permitted, it might not have found enough.
const leastShare = 0.02;

interface NearRow {
  id: string;
  score: number;
}

/** The question's unit vector, as pgvector writes it. */
export interface QuestionVector {
  literal: string;
  dimensions: number;
}

/**
 * The semantic leg: cosine over the passages that are permitted. Which way is chosen here, by how many they are: all are
 * compared while that is fast, and always when the other way found fewer than there are.
 */
export async function nearest(
  tx: Transaction,
  permitted: Permitted,
  passages: PermittedPassages,
  vector: QuestionVector,
): Promise<Leg> {
  const near = permitted.nearFrom !== null && passages.count > permitted.nearFrom && passages.share >= leastShare;
  let rows = near ? await approximately(tx, permitted, passages, vector) : [];
  if (rows.length < Math.min(legDepth, passages.count)) rows = await exactly(tx, permitted, passages, vector);
  return new Map(rows.map(({ id, score }) => [id, { score }]));
}

const revisionsOf = ({ segments }: PermittedPassages): string[] =>
  segments.flatMap(({ runs }) => runs.map(({ revisionId }) => revisionId));

function exactly(
  tx: Transaction,
  { indexId }: Permitted,
  passages: PermittedPassages,
  { literal }: QuestionVector,
): Promise<NearRow[]> {
  return tx.rows<NearRow>(
    `select v.chunk_id as id, 1 - (v.embedding <=> $1::vector) as score from chunk_vector v
     where v.index_id = ${indexId} and v.revision_id = any($2::uuid[])
     order by v.embedding <=> $1::vector, v.chunk_id limit ${legDepth}`,
    [literal, revisionsOf(passages)],
  );
}

function approximately(
  tx: Transaction,
  { indexId }: Permitted,
  passages: PermittedPassages,
  { literal, dimensions }: QuestionVector,
): Promise<NearRow[]> {
  return tx.rows<NearRow>(
    `with near as materialized (
       select v.chunk_id, v.embedding from chunk_vector v
       where v.index_id = ${indexId} and v.revision_id = any($2::uuid[])
       order by v.${nearColumn(dimensions)} <=> ${nearColumn(dimensions, '$1')} limit ${nearDepth}
     )
     select chunk_id as id, 1 - (embedding <=> $1::vector) as score from near
     order by embedding <=> $1::vector, chunk_id limit ${legDepth}`,
    [literal, revisionsOf(passages)],
  );
}
