import { withoutNearDuplicates } from './near-duplicates.js';
import { limitPerDocument } from './per-document.js';
import { prefer, type Preference, type Recency } from './preferences.js';
import type { RankedRow } from './ranking.js';
import { literalShare, type Understanding } from './understanding.js';

/** A question as it was understood, and what is done with the passages that are ranked for it before they are shown. */
export interface Question extends Understanding {
  /** How many are shown. */
  topK: number;
  dropDuplicates: boolean;
  /** At most so many of a document, unless fewer documents match; 0: any number. */
  perDocument: number;
  /** null: old and new documents alike. */
  recency: Recency | null;
  /** Whether a reranker reads the best of them. */
  rerank: boolean;
  now: Date;
}

/** A passage as the legs ranked it, or as the reranker scored it. */
export interface ScoredRow extends RankedRow {
  scoredBy: 'legs' | 'reranker';
  /** The reranker's score; null: it was not asked about this one. */
  reranked: number | null;
}

/** A passage in its place, with what brought it there. */
export interface ArrangedRow extends ScoredRow, Preferred {
  /** The documents of the passages that were left out for saying nearly the same, one a passage. */
  repeats: string[];
  /** How many of its document's passages were left out for being more than its share. */
  heldBack: number;
}

interface Preferred extends Preference {
  literal: number | null;
}

// Read beyond what is shown, so that what is left out can be made up for.
const leastDepth = 50;

/** How many of the ranked are looked at. Literals and preferences may lift what stands far down: then all of them. */
export function depthFor({ topK, dropDuplicates, perDocument, recency, phrases, identifiers }: Question): number {
  if (recency || phrases.length + identifiers.length > 0) return Infinity;
  return dropDuplicates || perDocument > 0 ? Math.max(leastDepth, 2 * topK) : topK;
}

export const asRanked = (rows: RankedRow[]): ScoredRow[] =>
  rows.map((row) => ({ ...row, scoredBy: 'legs', reranked: null }));

/** Prefers, leaves out what was said already, shares the list between documents. */
export function arrange(rows: ScoredRow[], question: Question): ArrangedRow[] {
  const preferred = inOrderOfPreference(rows, question);
  const { rows: unrepeated, duplicates } = question.dropDuplicates
    ? withoutNearDuplicates(preferred)
    : { rows: preferred, duplicates: null };
  const { rows: shown, heldBack } = limitPerDocument(unrepeated, question.perDocument, question.topK);
  return shown.map((row) => ({
    ...row,
    repeats: duplicates?.get(row)?.map(({ document_id: id }) => id) ?? [],
    heldBack: heldBack.get(row.document_id) ?? 0,
  }));
}

export function inOrderOfPreference<T extends RankedRow>(rows: T[], question: Question): (T & Preferred)[] {
  const withLiterals = rows.map((row) => ({ ...row, literal: literalShare(question, row) }));
  return prefer(withLiterals, question.recency, question.now);
}
