import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../config.js';
import { Database } from '../platform/database.js';
import { LOGGER, type Logger } from '../platform/logger.js';
import { LexicalEmbeddings } from '../platform/models/lexical-embeddings.js';

// pgvector's own limit for half-precision numbers in an HNSW index.
const mostDimensions = 4000;

// What building takes: with less memory than the graph needs it takes many times as long (100,000 by 384: 112 MB).
const buildMemory = '512MB';

// Any class of locks that nobody else uses.
const lockClass = 7451;

/**
 * From how many vectors on an approximate search beats comparing them all: measured at some 20,000 of 384 numbers and
 * 8,000 of 1,536, counting what building and upkeep cost.
 */
export const nearFrom = (least: number, dimensions: number): number => least * (384 / dimensions) ** (2 / 3);

/**
 * HNSW indexes over the vectors of large knowledge indexes, in half precision: as good in recall, half the size. Over an
 * expression, so that a statement says by how it orders whether it means the exact way or this one; left to the planner,
 * a filtered search silently found 2 to 40 % of what it should.
 */
@Injectable()
export class NearIndexes {
  private readonly least: number | null;

  constructor(
    private readonly database: Database,
    @Inject(CONFIG) { database: { vectorIndexFrom } }: Config,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.least = vectorIndexFrom;
  }

  /**
   * @param only one that is being built: it needs none before it is whole
   * @returns the indexes that have grown enough and have none. Lexical vectors get none: it finds too little of them.
   */
  async due(only: number | null = null): Promise<number[]> {
    const { least } = this;
    if (least === null) return [];
    const rows = await this.database.onceAsSystem<{ id: number; dimensions: number; vectors: string }>(
      `select i.id, i.dimensions, sum(s.chunks) as vectors from knowledge_index i join segment s on s.index_id = i.id
         where (i.id = $3::int or ($3::int is null and not i.building)) and i.near_since is null and i.dimensions <= $1
           and i.embedding_model <> $2 group by i.id, i.dimensions`,
      [mostDimensions, LexicalEmbeddings.model, only],
    );
    return rows.filter(({ dimensions, vectors }) => Number(vectors) > nearFrom(least, dimensions)).map(({ id }) => id);
  }

  /** Builds it beside readers and writers. What a killed build left is thrown away first. */
  async build(id: number): Promise<void> {
    const name = `chunk_vector_${Math.trunc(id)}_near`;
    await this.database.asOwnerAtLeisure(async (run) => {
      const [lock] = await run<{ mine: boolean }>('select pg_try_advisory_lock($1, $2) as mine', [lockClass, id]);
      if (!lock?.mine) return;
      try {
        const [index] = await run<{ dimensions: number; near_since: Date | null }>(
          'select dimensions, near_since from knowledge_index where id = $1',
          [id],
        );
        if (!index || index.near_since !== null) return;
        const began = performance.now();
        await run(`drop index concurrently if exists ${name}`);
        await run(`set maintenance_work_mem = '${buildMemory}'`);
        await run(
          `create index concurrently ${name} on chunk_vector_${Math.trunc(id)} using hnsw ((${nearColumn(index.dimensions)}) halfvec_cosine_ops)`,
        );
        await run('update knowledge_index set near_since = now() where id = $1', [id]);
        this.logger.info({ index: id, ms: Math.round(performance.now() - began) }, 'vector index built');
      } finally {
        await run('reset maintenance_work_mem');
        await run('select pg_advisory_unlock($1, $2)', [lockClass, id]);
      }
    });
  }
}

/** The expression that the index is over, of `embedding` or a parameter: whoever orders by it means the index. */
export const nearColumn = (dimensions: number, of = 'embedding'): string => `${of}::halfvec(${Math.trunc(dimensions)})`;
