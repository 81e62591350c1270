import { Injectable } from '@nestjs/common';
import { type Principal, visibleTo } from '../access/principal.js';
import { ApiError, notFound } from '../errors.js';
import { record } from '../events/outbox.js';
import { Database, type Transaction } from '../platform/database.js';
import { type Page, type PageQuery, page, startBelow } from '../platform/http/pages.js';
import { newId, readId, showId } from '../platform/ids.js';
import { Embedder } from '../platform/models/embedder.js';
import { type Gate, gateOf, type GateWish } from './gate.js';
import { defaultChunking, type Pipeline } from './pipeline.js';
import { configured, pipelineOf, type PipelineWish, showPipeline } from './pipeline-wish.js';

export interface KnowledgeBase {
  id: string;
  tenantId: string;
  name: string;
  pipeline: Pipeline;
  /** What readers see; 0 until something was published. */
  activeVersion: number;
  gate: Gate;
  createdAt: Date;
}

interface KnowledgeBaseRow {
  id: string;
  tenant_id: string;
  name: string;
  pipeline: Pipeline;
  active_version: number;
  gate: GateWish;
  created_at: Date;
  documents: string;
}

const columns = 'b.id, b.tenant_id, b.name, b.pipeline, b.active_version, b.gate, b.created_at';

/**
 * The base that a caller names, for every route that has one in its path.
 * @throws ApiError not_found, also when it is there but not for this caller
 */
export async function openBase(tx: Transaction, principal: Principal, shownId: string): Promise<KnowledgeBase> {
  const row = await tx.row<KnowledgeBaseRow>(
    `select ${columns} from knowledge_base b where b.id = $1 and b.deleted_at is null`,
    [permittedBase(principal, shownId)],
  );
  if (!row) throw notFound();
  return toBase(row);
}

/** The base's own id, for whoever asks more of it in one statement. @throws ApiError not_found when a token is not for it */
export function permittedBase(principal: Principal, shownId: string): string {
  const id = readId('kb', shownId);
  if (principal.knowledgeBases !== null && !principal.knowledgeBases.includes(id)) throw notFound();
  return id;
}

/** In the caller's transaction, before any other lock: nobody publishes, activates or frees versions meanwhile. */
export async function holdBase(tx: Transaction, id: string): Promise<void> {
  await tx.run('select 1 from knowledge_base where id = $1 for no key update', [id]);
}

function toBase(row: KnowledgeBaseRow): KnowledgeBase {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    name: row.name,
    pipeline: row.pipeline,
    activeVersion: row.active_version,
    gate: gateOf(row.gate),
    createdAt: row.created_at,
  };
}

/** Named bodies of documents: made with the pipeline they keep, and listed to those who may name them. */
@Injectable()
export class KnowledgeBases {
  constructor(
    private readonly database: Database,
    private readonly embedder: Embedder,
  ) {}

  /**
   * @param wish `language`: a code, or `auto`
   * @throws ApiError already_exists when the tenant has a base of this name, validation_failed for sizes in two units,
   * unprocessable for a language nobody knows or a model that is not configured
   */
  async create(principal: Principal, { name, ...wish }: PipelineWish & { name: string }) {
    const usual = { chunking: defaultChunking, embedding: { model: this.embedder.preferred.name } };
    const pipeline = pipelineOf(wish, usual);
    configured(this.embedder, pipeline);
    const id = newId();
    const made = await this.database.as(principal, async (tx) => {
      const count = await tx.run(
        `insert into knowledge_base (id, tenant_id, name, pipeline) values ($1, $2, $3, $4)
         on conflict (tenant_id, name) where deleted_at is null do nothing`,
        [id, principal.tenantId, name, JSON.stringify(pipeline)],
      );
      if (count === 0) throw new ApiError('already_exists', 'A knowledge base of this name is already there.');
      await tx.run(
        `insert into version (tenant_id, knowledge_base_id, number, cause, status, stats, activated_at)
         values ($1, $2, 0, '{"kind":"created"}', 'active', '{"documents":0,"chunks":0}', now())`,
        [principal.tenantId, id],
      );
      return openBase(tx, { ...principal, knowledgeBases: null }, showId('kb', id));
    });
    return show(made, 0);
  }

  async get(principal: Principal, shownId: string) {
    return this.database.as(principal, async (tx) => {
      const base = await openBase(tx, principal, shownId);
      return show(base, await this.count(tx, principal, base.id));
    });
  }

  async list(principal: Principal, query: PageQuery): Promise<Page<ReturnType<typeof show>>> {
    const parameters: unknown[] = [startBelow(query), query.limit + 1, principal.knowledgeBases];
    const rows = await this.database.as(principal, (tx) => {
      const visible = visibleTo(principal, parameters);
      return tx.rows<KnowledgeBaseRow>(
        `select ${columns}, (select count(*) from document d where d.knowledge_base_id = b.id and ${visible}) as documents
         from knowledge_base b
         where b.deleted_at is null and b.id < $1 and ($3::uuid[] is null or b.id = any($3::uuid[]))
         order by b.id desc limit $2`,
        parameters,
      );
    });
    return page(rows, query, (row) => show(toBase(row), Number(row.documents)));
  }

  /** What is absent stays; a gate is given whole. @throws ApiError already_exists when another base has the name */
  async change(principal: Principal, shownId: string, { name, gate }: { name?: string; gate?: GateWish }) {
    return this.database.as(principal, async (tx) => {
      const base = await openBase(tx, principal, shownId);
      const taken = await tx.row('select 1 from knowledge_base where name = $1 and id <> $2 and deleted_at is null', [
        name ?? null,
        base.id,
      ]);
      if (taken) throw new ApiError('already_exists', 'A knowledge base of this name is already there.');
      await tx.run(
        'update knowledge_base set name = coalesce($2, name), gate = coalesce($3::jsonb, gate) where id = $1',
        [base.id, name ?? null, gate ? JSON.stringify(gate) : null],
      );
      return show(await openBase(tx, principal, shownId), await this.count(tx, principal, base.id));
    });
  }

  /** Nothing of it answers from now on; its documents and syncs are ended after it, as if one by one. */
  async delete(principal: Principal, shownId: string, requestId: string): Promise<void> {
    await this.database.as(principal, async (tx) => {
      const base = await openBase(tx, principal, shownId);
      const deleted = await tx.run(
        'update knowledge_base set deleted_at = now(), deleted_by = $2 where id = $1 and deleted_at is null',
        [base.id, principal.caller],
      );
      if (deleted === 0) throw notFound();
      await tx.run(
        `update reindex set status = 'cancelled', ended_at = now() where knowledge_base_id = $1 and status in ('running', 'paused', 'judging')`,
        [base.id],
      );
      await record(tx, principal, { type: 'knowledge_base.deleted', requestId, data: { knowledgeBaseId: base.id } });
    });
  }

  /** Documents that this caller may see: a count of the others would tell of them. */
  private async count(tx: Transaction, principal: Principal, id: string): Promise<number> {
    const parameters: unknown[] = [id];
    const visible = visibleTo(principal, parameters);
    const row = await tx.row<{ count: string }>(
      `select count(*) from document d where d.knowledge_base_id = $1 and ${visible}`,
      parameters,
    );
    return Number(row?.count ?? 0);
  }
}

function show(base: KnowledgeBase, documents: number) {
  return {
    id: showId('kb', base.id),
    name: base.name,
    pipeline: showPipeline(base.pipeline),
    activeVersion: base.activeVersion,
    gate: base.gate,
    documents,
    createdAt: base.createdAt,
  };
}
