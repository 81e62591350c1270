import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../config.js';
import { ApiError, invalidField } from '../errors.js';
import { type Principal, readsAll } from '../access/principal.js';
import { vectorLiteral } from '../knowledge/chunks.js';
import { Database, type Transaction } from '../platform/database.js';
import { LOGGER, type Logger } from '../platform/logger.js';
import { Embedder, type EmbeddingModel } from '../platform/models/embedder.js';
import { Reranker } from '../platform/models/reranker.js';
import { arrange, asRanked, depthFor, type Question, type ScoredRow } from './arrange.js';
import { LexicalLeg } from './lexical-leg.js';
import { readNeighbours } from './neighbours.js';
import type { Recency } from './preferences.js';
import { permittedTo } from './permitted.js';
import { PermittedReader } from './permitted-passages.js';
import { rank, type RankedRow } from './ranking.js';
import { leastReranked, rerank } from './rerank.js';
import { type SearchResult, toResult } from './search-result.js';
import { askTarget, type IndexModel, targetOf, type Target, type TargetRow } from './target.js';
import { asWordsAlone, understand } from './understanding.js';
import type { QuestionVector } from './vector-leg.js';
import { type Askers, obstacle, rankOf, shownAs, type Whereabouts } from './whereabouts.js';

export type SearchMode = 'hybrid' | 'semantic' | 'keyword';

export interface SearchWish {
  query: string;
  topK: number;
  mode: SearchMode;
  filter?: unknown;
  /** A version to look back to; absent: the active one. */
  version?: number;
  /** Which steps come after ranking; absent: all of them. */
  rank?: Pick<Question, 'dropDuplicates' | 'perDocument' | 'rerank'> & { understand: boolean };
  recency?: Recency;
  /** Neighbouring passages on each side that are given along. */
  expand?: number;
  explain?: boolean;
  /** With `explain`: a document of which is said why it is in the list, or is not. */
  documentId?: string;
  /** With `explain`: whose eyes to search with, for callers who may read everything. */
  as?: { subject?: string; groups: string[] };
}

/** What a search may do that no caller can wish for. */
interface SearchRights {
  /** It is part of judging a candidate: it may look at one that nobody else sees yet. */
  judging?: boolean;
}

/** What a search does unless it is told otherwise. */
export const allSteps: NonNullable<SearchWish['rank']> = {
  understand: true,
  dropDuplicates: true,
  perDocument: 3,
  rerank: true,
};

export interface SearchAnswer {
  version: number;
  mode: SearchMode;
  /** What should have taken part and could not: `semantic`, `rerank`. */
  degraded: string[];
  results: SearchResult[];
  freshness: { oldest: Date | null; newest: Date | null };
  /** Of the document that was asked about. */
  explanation?: { documentId: string } & Whereabouts;
}

// Lexical vectors repeat what the lexical leg knows, so they decide between equals and no more (measured, nDCG@10 of TIME: at
// .15 a loss of .010, at .05 of .006, at .02 of .005; of SciFact, at .005 of .002). A real model starts level until its own
// evaluation says otherwise.
const lexicalAlpha = 0.001;
const modelAlpha = 0.5;

/** From a question to the passages that this caller may see, best first. */
@Injectable()
export class Retrieval {
  constructor(
    private readonly database: Database,
    private readonly embedder: Embedder,
    private readonly passages: PermittedReader,
    private readonly lexical: LexicalLeg,
    private readonly reranker: Reranker,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * Understand, rank, rerank, arrange, expand.
   * @throws ApiError not_found for a base or version that is not there for this caller
   */
  async search(
    principal: Principal,
    shownBase: string,
    wish: SearchWish,
    { judging = false }: SearchRights = {},
  ): Promise<SearchAnswer> {
    mayLookBack(principal, wish.version);
    const askers = { asker: principal, searcher: searcherOf(principal, wish) };
    const question = this.read(wish);
    // One snapshot for everything, unless a model far away must be asked for the question's vector in between.
    const ask = askTarget(principal, shownBase, wish.version);
    const near = await this.database.snapshotFrom<TargetRow, NearAnswer>(principal, ask, async (tx, [row]) => {
      const target = targetOf(row, judging, this.config.database.vectorIndexFrom);
      const semantic = this.atHand(target, wish);
      const answer = semantic === undefined ? null : await this.rank(tx, askers, target, wish, question, semantic);
      return { target, answer };
    });
    const { target } = near;
    const ranked = near.answer ?? (await this.rankWithModel(askers, target, wish, question));
    const { mode } = ranked;
    const reranked = await this.rerank(ranked.rows, wish.query, question);
    const rows = arrange(reranked ?? asRanked(ranked.rows), question);
    const around = await this.neighbours(askers, target, wish, rows);
    const dates = rows.map((row) => row.fresh_at).sort((a, b) => a.getTime() - b.getTime());
    return {
      version: target.version,
      mode,
      degraded: [
        ...(mode === wish.mode ? [] : ['semantic']),
        ...(question.rerank && reranked === null ? ['rerank'] : []),
      ],
      results: rows.map((row) => toResult(row, around?.get(row.chunk_id) ?? null, wish.explain ?? false)),
      freshness: { oldest: dates[0] ?? null, newest: dates.at(-1) ?? null },
      ...(wish.documentId !== undefined && ranked.whereabouts
        ? { explanation: { documentId: wish.documentId, ...shownAs(ranked.whereabouts, wish.documentId, rows) } }
        : {}),
    };
  }

  /** @throws ApiError not_found when one of the bases, or the version, is not there for this caller; forbidden */
  async check(principal: Principal, shownBases: readonly string[], version?: number): Promise<void> {
    mayLookBack(principal, version);
    await this.database.snapshot(principal, async (tx) => {
      for (const base of shownBases) {
        const { sql, parameters } = askTarget(principal, base, version);
        targetOf((await tx.row<TargetRow>(sql, parameters)) ?? undefined, false, null);
      }
    });
  }

  /** The question, understood as far as is wished, and what is to be done with what ranking finds for it. */
  private read({ query, topK, rank: steps = allSteps, recency }: SearchWish): Question {
    return {
      ...(steps.understand ? understand(query) : asWordsAlone(query)),
      ...steps,
      topK,
      recency: recency ?? null,
      rerank: steps.rerank && this.reranker.state !== 'none',
      now: new Date(),
    };
  }

  /** The question is embedded outside any transaction. */
  private async rankWithModel(askers: Askers, target: Target, wish: SearchWish, question: Question) {
    const semantic = target.model && (await this.embedQuery(target.model, wish.query));
    return this.database.snapshot(askers.searcher, (tx) => this.rank(tx, askers, target, wish, question, semantic));
  }

  /** @param semantic null: words alone rank */
  private async rank(
    tx: Transaction,
    askers: Askers,
    target: Target,
    wish: SearchWish,
    question: Question,
    semantic: QueryVector | null,
  ): Promise<RankedAnswer> {
    const { indexId } = target;
    const { documentId } = wish;
    const barred = documentId === undefined ? null : await obstacle(tx, askers, target, wish.filter, documentId);
    // Nothing was ever published: there is nothing to degrade.
    if (indexId === null) return { rows: [], mode: wish.mode, whereabouts: barred };
    const mode = semantic === null ? 'keyword' : wish.mode;
    const permitted = permittedTo(askers.searcher, { ...target, indexId }, wish.filter);
    const ranking = await rank(tx, { passages: this.passages, lexical: this.lexical }, permitted, {
      query: question.spelled,
      vector: semantic,
      keyword: mode !== 'semantic',
      alpha: semantic?.alpha ?? 0,
      depth: question.rerank ? Math.max(leastReranked, depthFor(question)) : depthFor(question),
    });
    const open = documentId !== undefined && barred === null;
    const whereabouts = open ? await rankOf(tx, this.lexical, permitted, ranking, documentId) : barred;
    return { rows: ranking.rows, mode, whereabouts };
  }

  /** @returns null where no reranker is wished for, or it is down: the fused order stands */
  private async rerank(rows: RankedRow[], query: string, question: Question): Promise<ScoredRow[] | null> {
    if (!question.rerank) return null;
    try {
      return await rerank(this.reranker, rows, query, question);
    } catch (error) {
      this.logger.warn({ err: error }, 'the reranker gave no scores; the fused order stands');
      return null;
    }
  }

  /** A transaction of its own: between ranking and this, the reranker may have been asked. */
  private async neighbours({ searcher }: Askers, target: Target, wish: SearchWish, rows: RankedRow[]) {
    const { indexId } = target;
    if (!wish.expand || indexId === null || rows.length === 0) return null;
    const permitted = permittedTo(searcher, { ...target, indexId }, undefined);
    return this.database.as(searcher, (tx) => readNeighbours(tx, permitted, rows, wish.expand ?? 0));
  }

  /** The question's vector where none must be asked for: null when there is none to be had, undefined when one must. */
  private atHand({ model }: Target, { mode, query }: SearchWish): QueryVector | null | undefined {
    if (model === null || mode === 'keyword') return null;
    const found = this.embedder.find(model.embedding);
    if (!found) return null;
    const vector = found.queryAtHand(query, model.dimensions);
    return vector && queryVector(found, vector);
  }

  /** @returns null when the model is down: keyword search then answers alone, and says so */
  private async embedQuery({ embedding, dimensions }: IndexModel, query: string): Promise<QueryVector | null> {
    const model = this.embedder.find(embedding);
    if (!model) return null;
    try {
      return queryVector(model, await model.embedQuery(query, dimensions));
    } catch (error) {
      this.logger.warn({ err: error, model: model.name }, 'the question could not be embedded; searching by keyword');
      return null;
    }
  }
}

interface RankedAnswer {
  rows: RankedRow[];
  mode: SearchMode;
  whereabouts: Whereabouts | null;
}

/** What is asked of, and the answer where no model far away must be asked first. */
interface NearAnswer {
  target: Target;
  answer: RankedAnswer | null;
}

interface QueryVector extends QuestionVector {
  alpha: number;
}

const queryVector = (model: EmbeddingModel, vector: number[]): QueryVector => ({
  literal: vectorLiteral(vector),
  dimensions: vector.length,
  lexical: model.lexical,
  alpha: model.lexical ? lexicalAlpha : modelAlpha,
});

/** @throws ApiError forbidden */
function mayLookBack({ scopes }: Principal, version: number | undefined): void {
  if (version !== undefined && !scopes.has('versions:look-back'))
    throw new ApiError('forbidden', 'Looking back at a version needs the scope versions:look-back.');
}

/** Who may see what counts for a search. @throws ApiError unless the caller may look with somebody else's eyes */
function searcherOf(principal: Principal, { explain, documentId, as }: SearchWish): Principal {
  if (!explain && documentId !== undefined) throw invalidField('documentId', 'needs "explain": true');
  if (!as) return principal;
  if (!explain) throw invalidField('as', 'needs "explain": true');
  if (!readsAll(principal)) {
    throw new ApiError('forbidden', 'Searching with the eyes of somebody else needs the scope documents:read-all.');
  }
  const scopes = new Set([...principal.scopes].filter((scope) => scope !== 'documents:read-all'));
  return { ...principal, subject: as.subject ?? null, groups: as.groups, scopes };
}
