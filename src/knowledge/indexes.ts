import { Injectable } from '@nestjs/common';
import { PermanentFailure } from '../errors.js';
import { Database, type TenantScope } from '../platform/database.js';
import type { EmbeddingModel } from '../platform/models/embedder.js';
import { fingerprint, type Pipeline } from './pipeline.js';

// A vector that fits beside others on an 8 kB page is stored in line: an exact scan of 1,536 numbers out of line took
// three to four times as long (31 against 11 ms for 10,000 rows).
const inlineDimensions = 1900;

/** Physical builds of a base: one pair of partitions for each pipeline fingerprint. */
@Injectable()
export class Indexes {
  private readonly known = new Set<number>();

  constructor(private readonly database: Database) {}

  /**
   * @returns the id of the index for this pipeline and model, made now if it is not there
   * @throws PermanentFailure reindex_needed when the base was built in another way, such as with vectors of another size
   */
  async ensure(
    scope: TenantScope,
    knowledgeBaseId: string,
    pipeline: Pipeline,
    model: EmbeddingModel,
  ): Promise<number> {
    const dimensions = await model.dimensions();
    const print = fingerprint(pipeline, dimensions);
    const id = await this.database.as(scope, async (tx) => {
      // A version shows one index: published from another one, this document would push all others out of sight.
      const other = await tx.row('select 1 from knowledge_index where knowledge_base_id = $1 and fingerprint <> $2', [
        knowledgeBaseId,
        print,
      ]);
      if (other)
        throw new PermanentFailure(
          'reindex_needed',
          'This knowledge base was built with other vectors and must be built anew first.',
          true,
        );
      await tx.run(
        `insert into knowledge_index (tenant_id, knowledge_base_id, fingerprint, embedding_model, dimensions)
         values ($1, $2, $3, $4, $5) on conflict (knowledge_base_id, fingerprint) do nothing`,
        [scope.tenantId, knowledgeBaseId, print, model.name, dimensions],
      );
      const row = await tx.row<{ id: number }>(
        'select id from knowledge_index where knowledge_base_id = $1 and fingerprint = $2',
        [knowledgeBaseId, print],
      );
      if (!row) throw new Error('the index was not made');
      return row.id;
    });
    if (!this.known.has(id)) await this.makePartitions(id, dimensions);
    this.known.add(id);
    return id;
  }

  /**
   * The partitions force row-level security without a policy of their own: nobody reads them but through their parents.
   * A vector of another size cannot be stored in them.
   */
  private async makePartitions(id: number, dimensions: number): Promise<void> {
    await this.database.asOwner(async (tx) => {
      await tx.run('select pg_advisory_xact_lock($1)', [7_450_000_000 + id]);
      const made = await tx.row<{ there: boolean }>(`select to_regclass($1) is not null as there`, [
        `public.chunk_vector_${id}`,
      ]);
      if (made?.there) return;
      await tx.run(`create table chunk_${id} partition of chunk for values in (${id}) with (fillfactor = 70)`);
      await tx.run(
        `create table chunk_vector_${id} partition of chunk_vector (check (vector_dims(embedding) = ${dimensions})) for values in (${id})`,
      );
      if (dimensions <= inlineDimensions)
        await tx.run(`alter table chunk_vector_${id} alter column embedding set storage plain`);
      for (const table of [`chunk_${id}`, `chunk_vector_${id}`]) {
        await tx.run(`alter table ${table} enable row level security`);
        await tx.run(`alter table ${table} force row level security`);
      }
    });
  }
}
