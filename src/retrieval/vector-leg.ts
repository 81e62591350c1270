import { nearColumn } from '../knowledge/near-indexes.js';
import type { Transaction } from '../platform/database.js';
import type { Leg } from './fusion.js';
import type { Permitted } from './permitted.js';
import type { PermittedPassages } from './permitted-passages.js';

// How deep the leg is read before the two are joined.
const legDepth = 100;

// An index is left after 20,000 vectors: where fewer than one in so many is permitted, it might not have found enough.
const leastShare = 0.02;

// Of lexical vectors a graph finds half of what it should (recall@10 .43 to .61 at 87,500, whatever it is told to read), and
// what is near by letters has words in common. Where comparing all takes long, those that words found are compared alone.
const mostLexical = 20_000;

interface NearRow {
  id: string;
  score: number;
}

/** The question's unit vector, as pgvector writes it. */
export interface QuestionVector {
  literal: string;
  dimensions: number;
  /** Made of letters and words, by no model. */
  lexical: boolean;
}

/**
 * The semantic leg: cosine over the passages that are permitted. Which way is chosen here, by how many they are: all are
 * compared while that is fast, and always when another way found fewer than there are.
 * @param byWords what the lexical leg found, where it took part
 */
export async function nearest(
  tx: Transaction,
  permitted: Permitted,
  passages: PermittedPassages,
  vector: QuestionVector,
  byWords: ReadonlyMap<string, unknown> | null,
): Promise<Leg> {
  const { count, share } = passages;
  const atLeast = Math.min(legDepth, count);
  if (vector.lexical && count > mostLexical && byWords && byWords.size >= atLeast) {
    return asLeg(await among(tx, permitted, [...byWords.keys()], vector));
  }
  const near = permitted.nearFrom !== null && count > permitted.nearFrom && share >= leastShare;
  let rows = near ? await approximately(tx, permitted, passages, vector) : [];
  if (rows.length < atLeast) rows = await exactly(tx, permitted, passages, vector);
  return asLeg(rows);
}

const asLeg = (rows: NearRow[]): Leg => new Map(rows.map(({ id, score }) => [id, { score }]));

function among(
  tx: Transaction,
  { indexId }: Permitted,
  ids: string[],
  { literal }: QuestionVector,
): Promise<NearRow[]> {
  return tx.rows<NearRow>(
    `select v.chunk_id as id, 1 - (v.embedding <=> $1::vector) as score from chunk_vector v
     where v.index_id = ${indexId} and v.chunk_id = any($2::uuid[]) order by score desc, v.chunk_id limit ${legDepth}`,
    [literal, ids],
  );
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
       order by v.${nearColumn(dimensions)} <=> ${nearColumn(dimensions, '$1')} limit ${legDepth}
     )
     select chunk_id as id, 1 - (embedding <=> $1::vector) as score from near
     order by embedding <=> $1::vector, chunk_id limit ${legDepth}`,
    [literal, revisionsOf(passages)],
  );
}
