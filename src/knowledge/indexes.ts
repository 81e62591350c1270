import { Injectable } from '@nestjs/common';
import { PermanentFailure } from '../errors.js';
import { Database, type TenantScope, type Transaction } from '../platform/database.js';
import type { EmbeddingModel } from '../platform/models/embedder.js';
import { fingerprint, type Pipeline } from './pipeline.js';

// A vector that fits beside others on an 8 kB page is stored in line: an exact scan of 1,536 numbers out of line took
// three to four times as long (31 against 11 ms for 10,000 rows).
const inlineDimensions = 1900;

// What one transaction removes at most.
const segmentsAtOnce = 20;

/** What an upload was taken with: the base's pipeline at that moment, and the index that goes with it. */
export interface IndexWish extends TenantScope {
  knowledgeBaseId: string;
  pipeline: Pipeline;
  /** null: the base had none. */
  indexId: number | null;
}

interface IndexRow {
  id: number;
  fingerprint: string;
}

/** Physical builds of a base under one pipeline each: a pair of partitions. */
@Injectable()
export class Indexes {
  private readonly known = new Set<number>();

  constructor(private readonly database: Database) {}

  /**
   * @returns the id of the index that goes with this pipeline, made now if the base has none
   * @throws PermanentFailure reindex_needed when the model's vectors have another size than those of the index, or another
   *   build of the service made it
   * @throws Error when the base went on to another pipeline meanwhile: tried again, it is read with that one
   */
  async ensure(wish: IndexWish, model: EmbeddingModel): Promise<number> {
    const dimensions = await model.dimensions();
    const print = fingerprint(wish.pipeline, dimensions);
    const index = (await this.find(wish)) ?? (await this.first(wish, dimensions));
    if (index.fingerprint !== print) {
      if (index.id !== wish.indexId) throw new Error(`the base ${wish.knowledgeBaseId} has another pipeline now`);
      throw new PermanentFailure(
        'reindex_needed',
        'This knowledge base was built with vectors of another size, or by another build of the service: reindex it (POST …/reindex), then try again.',
        true,
      );
    }
    await this.open(index.id, dimensions);
    return index.id;
  }

  /** In the caller's transaction: an index that no version shows before it is built. @returns its id */
  async begin(
    tx: Transaction,
    { tenantId }: TenantScope,
    knowledgeBaseId: string,
    pipeline: Pipeline,
    dimensions: number,
    building = true,
  ): Promise<number> {
    const row = await tx.row<{ id: number }>(
      `insert into knowledge_index (tenant_id, knowledge_base_id, fingerprint, pipeline, embedding_model, dimensions, building)
       values ($1, $2, $3, $4, $5, $6, $7) returning id`,
      [
        tenantId,
        knowledgeBaseId,
        fingerprint(pipeline, dimensions),
        JSON.stringify(pipeline),
        pipeline.embedding.model,
        dimensions,
        building,
      ],
    );
    if (!row) throw new Error('the index was not made');
    return row.id;
  }

  /** Makes sure that rows can be stored in it. */
  async open(id: number, dimensions: number): Promise<void> {
    if (!this.known.has(id)) await this.makePartitions(id, dimensions);
    this.known.add(id);
  }

  /** Those that were begun and are wanted no more: no version shows them, and nobody builds them. */
  async abandoned(): Promise<{ id: number; tenantId: string }[]> {
    return this.database.onceAsSystem<{ id: number; tenantId: string }>(
      `select i.id, i.tenant_id as "tenantId" from knowledge_index i where i.building and not exists
           (select from reindex r where r.index_id = i.id and r.status in ('running', 'paused', 'judging')) order by i.id limit 100`,
    );
  }

  /**
   * Takes away one that nobody builds and no version shows that is kept: its postings a few segments at a time, then its
   * chunks and vectors, without a lock that readers of others would wait for. Safe to be repeated where it was killed: its
   * row goes last.
   */
  async drop(scope: TenantScope, id: number): Promise<void> {
    while ((await this.database.as(scope, (tx) => removeSegments(tx, id))) === segmentsAtOnce);
    this.known.delete(id);
    for (const table of ['chunk', 'chunk_vector']) await this.dropPartition(table, Math.trunc(id));
    await this.database.as(scope, async (tx) => {
      const base = '(select knowledge_base_id from knowledge_index where id = $1)';
      await tx.run(`update version set index_id = null where knowledge_base_id = ${base} and index_id = $1`, [id]);
      await tx.run(
        `update knowledge_base set index_id = null, titles_index = null where id = ${base} and index_id = $1 and deleted_at is not null`,
        [id],
      );
      await tx.run('delete from knowledge_index where id = $1', [id]);
    });
  }

  private async dropPartition(table: string, id: number): Promise<void> {
    await this.database.asOwnerAtLeisure(async (run) => {
      const [part] = await run<{ attached: boolean; pending: boolean }>(
        `select c.relispartition as attached, coalesce(i.inhdetachpending, false) as pending
         from pg_class c left join pg_inherits i on i.inhrelid = c.oid where c.oid = to_regclass($1)`,
        [`public.${table}_${id}`],
      );
      if (!part) return;
      if (part.attached)
        await run(`alter table ${table} detach partition ${table}_${id} ${part.pending ? 'finalize' : 'concurrently'}`);
      await run(`drop table if exists ${table}_${id}`);
    });
  }

  private async find(wish: IndexWish): Promise<IndexRow | null> {
    const [index] = await this.database.once<IndexRow>(wish, indexOf, [wish.knowledgeBaseId, wish.indexId]);
    return index ?? null;
  }

  /** The base's row is held: of those who come at once, one makes it. */
  private first(wish: IndexWish, dimensions: number): Promise<IndexRow> {
    const { knowledgeBaseId, pipeline } = wish;
    return this.database.as(wish, async (tx) => {
      await tx.row('select 1 from knowledge_base where id = $1 for no key update', [knowledgeBaseId]);
      const there = await tx.row<IndexRow>(indexOf, [knowledgeBaseId, null]);
      if (there) return there;
      const id = await this.begin(tx, wish, knowledgeBaseId, pipeline, dimensions, false);
      await tx.run('update knowledge_base set index_id = $2, titles_index = $2 where id = $1', [knowledgeBaseId, id]);
      return { id, fingerprint: fingerprint(pipeline, dimensions) };
    });
  }

  /**
   * The partitions force row-level security without a policy of their own: nobody reads them but through their parents.
   * A vector of another size cannot be stored in them. They are made apart and attached: to make them in their place would
   * lock out all who search, and cut off some who hold one table while they wait for the other.
   */
  private async makePartitions(id: number, dimensions: number): Promise<void> {
    await this.database.asOwner(async (tx) => {
      await tx.run('select pg_advisory_xact_lock($1)', [7_450_000_000 + id]);
      const made = await tx.row<{ there: boolean }>(`select to_regclass($1) is not null as there`, [
        `public.chunk_vector_${id}`,
      ]);
      if (made?.there) return;
      // Each row is written once more when it is first published: with room for all of a page beside them no index is
      // touched (HOT share of updates 1.000; .55 with a fillfactor of 70).
      await tx.run(`create table chunk_${id} (like chunk including all) with (fillfactor = 50)`);
      await tx.run(
        `create table chunk_vector_${id} (like chunk_vector including all, check (vector_dims(embedding) = ${dimensions}))`,
      );
      if (dimensions <= inlineDimensions)
        await tx.run(`alter table chunk_vector_${id} alter column embedding set storage plain`);
      for (const table of ['chunk', 'chunk_vector']) {
        await tx.run(`alter table ${table}_${id} enable row level security`);
        await tx.run(`alter table ${table}_${id} force row level security`);
        await tx.run(`alter table ${table} attach partition ${table}_${id} for values in (${id})`);
      }
    });
  }
}

function removeSegments(tx: Transaction, indexId: number): Promise<number> {
  return tx.run(
    `delete from segment where index_id = $1 and no in (select no from segment where index_id = $1 limit ${segmentsAtOnce})`,
    [indexId],
  );
}

/** This index ($2) of the base ($1), or the one that uploads go to. */
const indexOf =
  'select i.id, i.fingerprint from knowledge_base b join knowledge_index i on i.id = coalesce($2, b.index_id) where b.id = $1';

/**
 * In the caller's transaction: readers see this version from its commit on. Uploads go to its index, and through the
 * pipeline that this was built with.
 */
export async function pointTo(tx: Transaction, knowledgeBaseId: string, number: number): Promise<void> {
  await tx.run(
    `update knowledge_base b set active_version = v.number, index_id = coalesce(v.index_id, b.index_id),
       pipeline = coalesce(i.pipeline, b.pipeline)
     from version v left join knowledge_index i on i.id = v.index_id
     where b.id = $1 and v.knowledge_base_id = $1 and v.number = $2`,
    [knowledgeBaseId, number],
  );
}
