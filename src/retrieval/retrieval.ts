import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../config.js';
import { ApiError, notFound } from '../errors.js';
import type { Principal } from '../access/principal.js';
import { vectorLiteral } from '../knowledge/chunks.js';
import { openBase } from '../knowledge/knowledge-bases.js';
import { nearFrom } from '../knowledge/near-indexes.js';
import { Database, type Transaction } from '../platform/database.js';
import { showId } from '../platform/ids.js';
import { LOGGER, type Logger } from '../platform/logger.js';
import { Embedder, type EmbeddingModel } from '../platform/models/embedder.js';
import { LexicalLeg } from './lexical-leg.js';
import type { RankingTarget } from './permitted.js';
import { PermittedReader } from './permitted-passages.js';
import { rank, type RankedRow } from './ranking.js';
import type { QuestionVector } from './vector-leg.js';

export type SearchMode = 'hybrid' | 'semantic' | 'keyword';

export interface SearchWish {
  query: string;
  topK: number;
  mode: SearchMode;
  filter?: unknown;
  /** A version to look back to; absent: the active one. */
  version?: number;
}

/** One passage that the caller may see, with its place in the stored text of its revision. */
export interface SearchResult {
  document: {
    id: string;
    externalId: string | null;
    title: string;
    sourceUrl: string | null;
    sourceUpdatedAt: Date | null;
    metadata: Record<string, unknown>;
  };
  revision: string;
  section: string[];
  page: number | null;
  start: number;
  end: number;
  /** Caption and header of the table that the text goes on with; no part of the text, and never quoted. */
  lead: string | null;
  text: string;
  score: number;
  /**
   * The parts of the score: BM25 of the passage, of its whole document and over character grams, how well the document's
   * title and metadata fit, the cosine, and the share of the question's weight that the passage holds. Null: not among
   * that leg's best.
   */
  signals: {
    keyword: number | null;
    document: number | null;
    characters: number | null;
    context: number | null;
    semantic: number | null;
    coverage: number | null;
  };
}

export interface SearchAnswer {
  version: number;
  mode: SearchMode;
  /** What should have taken part and could not, such as `semantic`. */
  degraded: string[];
  results: SearchResult[];
  freshness: { oldest: Date | null; newest: Date | null };
}

// Lexical vectors repeat what the lexical leg knows, so they count for next to nothing (measured: at .15, TIME lost .010
// nDCG@10). A real model starts level until its own evaluation says otherwise.
const lexicalAlpha = 0.05;
const modelAlpha = 0.5;

/** From a question to the passages that this caller may see, best first. */
@Injectable()
export class Retrieval {
  constructor(
    private readonly database: Database,
    private readonly embedder: Embedder,
    private readonly lexical: LexicalLeg,
    private readonly passages: PermittedReader,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** @throws ApiError not_found for a base or version that is not there for this caller */
  async search(principal: Principal, shownBase: string, wish: SearchWish): Promise<SearchAnswer> {
    if (wish.version !== undefined && !principal.scopes.has('versions:look-back')) {
      throw new ApiError('forbidden', 'Looking back at a version needs the scope versions:look-back.');
    }
    // One snapshot for everything, unless a model far away must be asked for the question's vector in between.
    const near = await this.database.snapshot(principal, async (tx) => {
      const target = await readTarget(tx, principal, shownBase, wish.version);
      const semantic = this.atHand(target, wish);
      return { target, answer: semantic === undefined ? null : await this.rank(tx, principal, target, wish, semantic) };
    });
    const { rows, mode, degraded } = near.answer ?? (await this.rankWithModel(principal, near.target, wish));
    const dates = rows.map((row) => row.fresh_at).sort((a, b) => a.getTime() - b.getTime());
    return {
      version: near.target.version,
      mode,
      degraded,
      results: rows.map(toResult),
      freshness: { oldest: dates[0] ?? null, newest: dates.at(-1) ?? null },
    };
  }

  /** @throws ApiError not_found when one of the bases is not there for this caller */
  async check(principal: Principal, shownBases: readonly string[]): Promise<void> {
    await this.database.as(principal, async (tx) => {
      for (const base of shownBases) await openBase(tx, principal, base);
    });
  }

  /** The question is embedded outside any transaction. */
  private async rankWithModel(principal: Principal, target: Target, wish: SearchWish): Promise<RankedAnswer> {
    const semantic = target.model && (await this.embedQuery(target.model, wish.query));
    return this.database.snapshot(principal, (tx) => this.rank(tx, principal, target, wish, semantic));
  }

  /** @param semantic null: words alone rank */
  private async rank(
    tx: Transaction,
    principal: Principal,
    target: Target,
    wish: SearchWish,
    semantic: QueryVector | null,
  ): Promise<RankedAnswer> {
    // Nothing was ever published: there is nothing to degrade.
    if (target.indexId === null) return { rows: [], mode: wish.mode, degraded: [] };
    const lost = semantic === null && wish.mode !== 'keyword';
    const mode = lost ? 'keyword' : wish.mode;
    const rows = await rank(
      tx,
      { passages: this.passages, lexical: this.lexical },
      principal,
      { ...target, indexId: target.indexId, nearFrom: this.nearFrom(target) },
      {
        query: wish.query,
        vector: semantic,
        keyword: mode !== 'semantic',
        alpha: semantic?.alpha ?? 0,
        filter: wish.filter,
        limit: wish.topK,
      },
    );
    return { rows, mode, degraded: lost ? ['semantic'] : [] };
  }

  private nearFrom({ model }: Target): number | null {
    const { vectorIndexFrom } = this.config.database;
    return model?.near && vectorIndexFrom !== null ? nearFrom(vectorIndexFrom, model.dimensions) : null;
  }

  /** The question's vector where none must be asked for: null when none is needed, undefined when one must. */
  private atHand({ model }: Target, { mode, query }: SearchWish): QueryVector | null | undefined {
    if (model === null || mode === 'keyword') return null;
    const found = this.embedder.find(model.name);
    if (!found) return null;
    const vector = found.queryAtHand(query, model.dimensions);
    return vector && queryVector(found, vector);
  }

  /** @returns null when the model is down or not configured here: keyword search then answers alone, and says so */
  private async embedQuery({ name, dimensions }: IndexModel, query: string): Promise<QueryVector | null> {
    const model = this.embedder.find(name);
    if (!model) return null;
    try {
      return queryVector(model, await model.embedQuery(query, dimensions));
    } catch (error) {
      this.logger.warn({ err: error, model: name }, 'the question could not be embedded; searching by keyword');
      return null;
    }
  }
}

/** What a question is asked of. `indexId` and `model` are null where nothing was ever published. */
interface Target extends Omit<RankingTarget, 'indexId' | 'nearFrom'> {
  indexId: number | null;
  model: IndexModel | null;
}

interface RankedAnswer {
  rows: RankedRow[];
  mode: SearchMode;
  degraded: string[];
}

/** @throws ApiError not_found for a base or version that is not there for this caller */
async function readTarget(
  tx: Transaction,
  principal: Principal,
  shownBase: string,
  wanted: number | undefined,
): Promise<Target> {
  const base = await openBase(tx, principal, shownBase);
  const row = await tx.row<VersionRow>(
    `select v.number, v.status, v.index_id, i.embedding_model, i.dimensions, i.languages, i.near_since is not null as near
     from version v left join knowledge_index i on i.id = v.index_id
     where v.knowledge_base_id = $1 and v.number = $2`,
    [base.id, wanted ?? base.activeVersion],
  );
  if (!row || !['active', 'ready'].includes(row.status)) throw notFound();
  const { embedding_model: name, dimensions, near } = row;
  const model = name === null || dimensions === null ? null : { name, dimensions, near };
  const languages = (row.languages ?? []).toSorted();
  return { knowledgeBaseId: base.id, indexId: row.index_id, languages, version: row.number, model };
}

interface VersionRow {
  number: number;
  status: string;
  index_id: number | null;
  embedding_model: string | null;
  dimensions: number | null;
  languages: string[] | null;
  near: boolean;
}

/** The model that an index was built with, the size of its vectors, and whether there is a graph over them. */
interface IndexModel {
  name: string;
  dimensions: number;
  near: boolean;
}

interface QueryVector extends QuestionVector {
  alpha: number;
}

const queryVector = (model: EmbeddingModel, vector: number[]): QueryVector => ({
  literal: vectorLiteral(vector),
  dimensions: vector.length,
  alpha: model.lexical ? lexicalAlpha : modelAlpha,
});

function toResult(row: RankedRow): SearchResult {
  return {
    document: {
      id: showId('doc', row.document_id),
      externalId: row.external_id,
      title: row.title,
      sourceUrl: row.source_url,
      sourceUpdatedAt: row.source_updated_at,
      metadata: row.metadata,
    },
    revision: showId('rev', row.revision_id),
    section: row.section,
    page: row.page,
    start: row.start_offset,
    end: row.end_offset,
    lead: row.lead,
    text: row.text,
    score: row.score,
    signals: {
      keyword: row.lexical?.passage ?? null,
      document: row.lexical?.document ?? null,
      characters: row.lexical?.grams ?? null,
      context: row.lexical?.context ?? null,
      semantic: row.semantic,
      coverage: row.lexical?.coverage ?? null,
    },
  };
}
