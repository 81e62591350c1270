/** One of the things that a question must find: a document, by either id, or a passage that holds these words. */
export interface Expected {
  documentId?: string;
  externalId?: string;
  passage?: string;
}

export interface GoldenQuestion {
  id: string;
  query: string;
  expected: Expected[];
  /** With whose eyes it is asked; null: of somebody who may read everything. */
  principal: { subject?: string; groups: string[] } | null;
}

/** When a version that answers already is taken back: see the fields of the same names in the gate's DTO. */
export interface RollbackRule {
  notFoundRise?: number;
  negativeRate?: number;
  minAnswers: number;
  hours: number;
}

export interface Gate {
  maxDrop: number;
  /** null: any number, within the drop. */
  maxLost: number | null;
  rollback: RollbackRule | null;
}

/** Why a question finds its passage later than before, or not at all. */
export interface WorseQuestion {
  questionId: string;
  query: string;
  /** The rank of the first result that was expected, from 1; null: not among those looked at. */
  before: number | null;
  after: number | null;
  /** What became of the document that was found before. */
  why: { documentId: string; reason: string };
  /** What stands first now. */
  first: string | null;
}

/** What the gate found of a candidate, beside the version that answered then. */
export interface GateReport {
  against: number;
  questions: number;
  /** Means of 1/rank, from 0 to 1. */
  before: number;
  after: number;
  lost: number;
  /** What did not take part in searching each of the two: `semantic`, `rerank`. */
  degraded: { before: string[]; after: string[] };
  blocked: boolean;
  reason: string | null;
  worse: WorseQuestion[];
  judgedAt: string;
}

/** The thresholds of a base, with what is not said of them. */
export function gateOf({ maxDrop = 0.05, maxLost, rollback }: GateWish): Gate {
  const rule = rollback && { minAnswers: 20, hours: 24, ...rollback };
  return { maxDrop, maxLost: maxLost ?? null, rollback: rule ?? null };
}

/** As a caller gives it, and as it is stored. */
export interface GateWish {
  maxDrop?: number;
  maxLost?: number;
  rollback?: Partial<RollbackRule>;
}
