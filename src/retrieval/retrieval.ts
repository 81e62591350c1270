import { Inject, Injectable } from '@nestjs/common';
import { ApiError, notFound } from '../errors.js';
import type { Principal } from '../access/principal.js';
import { vectorLiteral } from '../knowledge/chunks.js';
import { openBase } from '../knowledge/knowledge-bases.js';
import { Database } from '../platform/database.js';
import { showId } from '../platform/ids.js';
import { LOGGER, type Logger } from '../platform/logger.js';
import { Embedder } from '../platform/models/embedder.js';
import { LexicalLeg } from './lexical-leg.js';
import { rank, type RankedRow, type RankingTarget } from './ranking.js';

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
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** @throws ApiError not_found for a base or version that is not there for this caller */
  async search(principal: Principal, shownBase: string, wish: SearchWish): Promise<SearchAnswer> {
    if (wish.version !== undefined && !principal.scopes.has('versions:look-back')) {
      throw new ApiError('forbidden', 'Looking back at a version needs the scope versions:look-back.');
    }
    const target = await this.target(principal, shownBase, wish.version);
    // Asked outside any transaction: the model may be far away.
    const semantic =
      target.model === null || wish.mode === 'keyword' ? null : await this.embedQuery(target.model, wish.query);
    const degraded = wish.mode !== 'keyword' && target.indexId !== null && semantic === null ? ['semantic'] : [];
    const mode = semantic === null && target.indexId !== null ? 'keyword' : wish.mode;
    const rows =
      target.indexId === null
        ? []
        : await this.rank(principal, { ...target, indexId: target.indexId }, wish, mode, semantic);
    const dates = rows.map((row) => row.fresh_at).sort((a, b) => a.getTime() - b.getTime());
    return {
      version: target.version,
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

  private rank(
    principal: Principal,
    target: RankingTarget,
    wish: SearchWish,
    mode: SearchMode,
    semantic: QueryVector | null,
  ) {
    return this.database.snapshot(principal, (tx) =>
      rank(tx, this.lexical, principal, target, {
        query: wish.query,
        vector: semantic?.vector ?? null,
        keyword: mode !== 'semantic',
        alpha: semantic?.alpha ?? 0,
        filter: wish.filter,
        limit: wish.topK,
      }),
    );
  }

  private target(principal: Principal, shownBase: string, wanted: number | undefined) {
    return this.database.as(principal, async (tx) => {
      const base = await openBase(tx, principal, shownBase);
      const row = await tx.row<VersionRow>(
        `select v.number, v.status, v.index_id, i.embedding_model, i.dimensions, i.languages from version v left join knowledge_index i on i.id = v.index_id
         where v.knowledge_base_id = $1 and v.number = $2`,
        [base.id, wanted ?? base.activeVersion],
      );
      if (!row || !['active', 'ready'].includes(row.status)) throw notFound();
      const { embedding_model: name, dimensions } = row;
      const model = name === null || dimensions === null ? null : { name, dimensions };
      const languages = row.languages ?? [];
      return { knowledgeBaseId: base.id, indexId: row.index_id, languages, version: row.number, model };
    });
  }

  /** @returns null when the model is down or not configured here: keyword search then answers alone, and says so */
  private async embedQuery({ name, dimensions }: IndexModel, query: string): Promise<QueryVector | null> {
    const model = this.embedder.find(name);
    if (!model) return null;
    try {
      const vector = vectorLiteral(await model.embedQuery(query, dimensions));
      return { vector, alpha: model.lexical ? lexicalAlpha : modelAlpha };
    } catch (error) {
      this.logger.warn({ err: error, model: name }, 'the question could not be embedded; searching by keyword');
      return null;
    }
  }
}

interface VersionRow {
  number: number;
  status: string;
  index_id: number | null;
  embedding_model: string | null;
  dimensions: number | null;
  languages: string[] | null;
}

/** The model that an index was built with, and the size of its vectors. */
interface IndexModel {
  name: string;
  dimensions: number;
}

interface QueryVector {
  vector: string;
  alpha: number;
}

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
