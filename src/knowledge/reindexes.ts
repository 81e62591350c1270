import { Injectable } from '@nestjs/common';
import type { Principal } from '../access/principal.js';
import { ApiError, notFound, type PermanentFailure } from '../errors.js';
import { record } from '../events/outbox.js';
import { Database, type TenantScope, type Transaction } from '../platform/database.js';
import { type Page, type PageQuery, page, startBelow } from '../platform/http/pages.js';
import { newId, readId, showId } from '../platform/ids.js';
import { Embedder } from '../platform/models/embedder.js';
import { holdBase, openBase } from './knowledge-bases.js';
import { fingerprint, type Pipeline } from './pipeline.js';
import { configured, pipelineOf, type PipelineWish, showPipeline } from './pipeline-wish.js';

/** `judging`: it is built, and the gate judges it; `blocked`: the gate has kept it back. */
export type ReindexStatus = 'running' | 'paused' | 'judging' | 'blocked' | 'completed' | 'failed' | 'cancelled';

interface ReindexRow {
  id: string;
  knowledge_base_id: string;
  pipeline: Pipeline;
  status: ReindexStatus;
  done: number;
  total: number;
  built: number;
  worked_ms: string;
  chunks: number;
  embedded: number;
  tokens_embedded: string;
  version: number | null;
  error_code: string | null;
  error_message: string | null;
  request_id: string | null;
  created_at: Date;
  ended_at: Date | null;
}

/** What a worker needs of one that it builds. */
export interface HeldReindex extends TenantScope {
  id: string;
  knowledgeBaseId: string;
  pipeline: Pipeline;
  /** null: it was not begun. */
  indexId: number | null;
  lease: string;
}

const columns = `id, knowledge_base_id, pipeline, status, done, total, built, worked_ms, chunks, embedded, tokens_embedded,
  version, error_code, error_message, request_id, created_at, ended_at`;

const showReindex = (row: ReindexRow) => ({
  id: showId('rix', row.id),
  knowledgeBaseId: showId('kb', row.knowledge_base_id),
  status: row.status,
  pipeline: showPipeline(row.pipeline),
  progress: { done: row.done, total: row.total },
  estimate: secondsLeft(row),
  receipt: {
    chunks: { total: row.chunks, reused: row.chunks - row.embedded, embedded: row.embedded },
    tokensEmbedded: Number(row.tokens_embedded),
  },
  version: row.version,
  error: row.error_code === null ? null : { code: row.error_code, message: row.error_message },
  createdAt: row.created_at,
  endedAt: row.ended_at,
});

/** At the pace so far; null before there is one, and while nothing goes on. */
function secondsLeft({ status, built, worked_ms: workedMs, done, total }: ReindexRow): number | null {
  if (status !== 'running' || built === 0) return null;
  return Math.ceil((Number(workedMs) / built / 1000) * (total - done));
}

/** Builds of a base under another pipeline, beside what it serves: asked for, watched and held up here. */
@Injectable()
export class Reindexes {
  constructor(
    private readonly database: Database,
    private readonly embedder: Embedder,
  ) {}

  /**
   * @throws ApiError validation_failed, unprocessable for a language or a model that is not known here; conflict when
   * nothing would differ, or another one is not done yet; unavailable while the model does not say what its vectors are like
   */
  async begin(principal: Principal, base: string, wish: PipelineWish, requestId: string) {
    const {
      id: baseId,
      pipeline,
      print,
    } = await this.database.as(principal, async (tx) => {
      const opened = await openBase(tx, principal, base);
      const index = await tx.row<{ print: string }>(
        `select i.fingerprint as print from knowledge_base b join knowledge_index i on i.id = b.index_id where b.id = $1`,
        [opened.id],
      );
      return { ...opened, print: index?.print ?? null };
    });
    const wanted = pipelineOf(wish, pipeline);
    if (!(await this.differs(pipeline, wanted, print))) {
      throw new ApiError('conflict', 'Nothing would differ: the knowledge base is built with this pipeline already.');
    }
    return this.database.as(principal, async (tx) => {
      await openBase(tx, principal, base);
      const id = newId();
      const begun = await tx.run(
        `insert into reindex (id, tenant_id, knowledge_base_id, pipeline, status, request_id) values ($1, $2, $3, $4, 'running', $5)
         on conflict (knowledge_base_id) where status in ('running', 'paused', 'judging') do nothing`,
        [id, principal.tenantId, baseId, JSON.stringify(wanted), requestId],
      );
      if (begun === 0)
        throw new ApiError('conflict', 'A reindex of this knowledge base is not done yet: wait for it, or cancel it.');
      return showReindex(await read(tx, baseId, id));
    });
  }

  async get(principal: Principal, base: string, reindex: string) {
    return this.database.as(principal, async (tx) => {
      const { id: baseId } = await openBase(tx, principal, base);
      return showReindex(await read(tx, baseId, readId('rix', reindex)));
    });
  }

  async list(principal: Principal, base: string, query: PageQuery): Promise<Page<ReturnType<typeof showReindex>>> {
    const rows = await this.database.as(principal, async (tx) => {
      const { id: baseId } = await openBase(tx, principal, base);
      return tx.rows<ReindexRow>(
        `select ${columns} from reindex where knowledge_base_id = $1 and id < $2 order by id desc limit $3`,
        [baseId, startBelow(query), query.limit + 1],
      );
    });
    return page(rows, query, showReindex);
  }

  /** What is built stays. @throws ApiError conflict when it has ended */
  pause(principal: Principal, base: string, reindex: string) {
    return this.become(principal, base, reindex, 'paused', ['running']);
  }

  /** Goes on where it was. @throws ApiError conflict when it has ended */
  resume(principal: Principal, base: string, reindex: string) {
    return this.become(principal, base, reindex, 'running', ['paused']);
  }

  /** What was built is thrown away; what is served stays as it is. @throws ApiError conflict when it has ended */
  cancel(principal: Principal, base: string, reindex: string) {
    return this.become(principal, base, reindex, 'cancelled', ['running', 'paused', 'judging']);
  }

  private async become(
    principal: Principal,
    base: string,
    reindex: string,
    status: ReindexStatus,
    from: readonly ReindexStatus[],
  ) {
    return this.database.as(principal, async (tx) => {
      const { id: baseId } = await openBase(tx, principal, base);
      const id = readId('rix', reindex);
      if (status === 'cancelled') await holdBase(tx, baseId);
      const row = await read(tx, baseId, id, 'for update');
      if (row.status === status) return showReindex(row);
      if (!from.includes(row.status)) throw new ApiError('conflict', `This reindex is ${row.status}.`);
      if (row.status === 'judging') await giveUpCandidate(tx, principal, row);
      await tx.run(
        `update reindex set status = $2, lease_token = null, lease_expires_at = now(), tries = 0, error_code = null, error_message = null,
           ended_at = case when $2 = 'cancelled' then now() end where id = $1`,
        [id, status],
      );
      if (status === 'cancelled') await recordFailed(tx, principal, { ...row, status }, 'cancelled');
      return showReindex(await read(tx, baseId, id));
    });
  }

  /** The same words may mean something else: a model whose vectors have another size now, or another build of the service. */
  private async differs(before: Pipeline, wanted: Pipeline, print: string | null): Promise<boolean> {
    const model = configured(this.embedder, wanted);
    if (wish(before) !== wish(wanted)) return true;
    if (print === null) return false;
    const dimensions = await model.dimensions().catch((error: unknown) => {
      throw new ApiError('unavailable', 'The embedding model does not answer right now: try again shortly.', [], {
        cause: error,
      });
    });
    return fingerprint(wanted, dimensions) !== print;
  }
}

/** The same for pipelines that ask for the same, whatever they get. */
const wish = (pipeline: Pipeline): string => fingerprint(pipeline, pipeline.embedding.dimensions ?? 0);

async function read(tx: Transaction, baseId: string, id: string, lock: 'for update' | '' = ''): Promise<ReindexRow> {
  const row = await tx.row<ReindexRow>(
    `select ${columns} from reindex where knowledge_base_id = $1 and id = $2 ${lock}`,
    [baseId, id],
  );
  if (!row) throw notFound();
  return row;
}

/** In the caller's transaction: this version shows what was built, and nothing is left to do. */
export async function completeReindex(tx: Transaction, scope: TenantScope, id: string, version: number): Promise<void> {
  const row = await tx.row<ReindexRow>(
    `update reindex set status = 'completed', version = $2, done = total, lease_token = null, ended_at = now()
     where id = $1 returning ${columns}`,
    [id, version],
  );
  if (!row) return;
  const { pipeline, receipt } = showReindex(row);
  await record(tx, scope, {
    type: 'reindex.completed',
    subjectId: row.knowledge_base_id,
    requestId: row.request_id,
    data: {
      reindexId: showId('rix', id),
      knowledgeBaseId: showId('kb', row.knowledge_base_id),
      version,
      pipeline,
      receipt,
    },
  });
}

/** In the caller's transaction: the gate judges the version that shows what was built. */
export async function judgeReindex(tx: Transaction, id: string, version: number): Promise<void> {
  await tx.run(`update reindex set status = 'judging', version = $2, done = total, lease_token = null where id = $1`, [
    id,
    version,
  ]);
}

/** In the caller's transaction: the gate has kept that version back; a person may activate it all the same. */
export async function blockReindex(tx: Transaction, scope: TenantScope, id: string): Promise<void> {
  const row = await tx.row<ReindexRow>(
    `update reindex set status = 'blocked', ended_at = now() where id = $1 returning ${columns}`,
    [id],
  );
  if (row) await recordFailed(tx, scope, row, 'blocked');
}

/** What it has built is not judged any more, and other changes of the base need not wait for that. */
async function giveUpCandidate(tx: Transaction, scope: TenantScope, row: ReindexRow): Promise<void> {
  const { id, knowledge_base_id: knowledgeBaseId, version } = row;
  await takeUpReindex(tx, id);
  await tx.run(
    `update version set status = 'retired' where knowledge_base_id = $1 and number = $2 and status = 'building'`,
    [knowledgeBaseId, version],
  );
  await record(tx, scope, { type: 'index.version.judged', data: { knowledgeBaseId } });
}

/**
 * In the caller's transaction: that version was given up since another one answers now; what was built is brought up to it.
 * @param forced it was blocked, and is activated without being judged again
 * @returns false when another one is not done yet: a base is reindexed once at a time
 */
export async function takeUpReindex(tx: Transaction, id: string, { forced = false } = {}): Promise<boolean> {
  const other = await tx.row(
    `select 1 from reindex x join reindex o on o.knowledge_base_id = x.knowledge_base_id and o.id <> x.id
     where x.id = $1 and o.status in ('running', 'paused', 'judging')`,
    [id],
  );
  if (other) return false;
  await tx.run(
    `update version v set index_id = null from reindex x
     where x.id = $1 and v.knowledge_base_id = x.knowledge_base_id and v.number = x.version`,
    [id],
  );
  await tx.run('update knowledge_index i set building = true from reindex x where x.id = $1 and i.id = x.index_id', [
    id,
  ]);
  await tx.run(
    `update reindex set status = 'running', version = null, forced = forced or $2, lease_expires_at = now(), ended_at = null
     where id = $1`,
    [id, forced],
  );
  return true;
}

/**
 * In the caller's transaction: it ends here, or where a person can mend what is wrong, it is paused with the reason, so that
 * what was built need not be built again. What is served stays as it is.
 */
export async function failReindex(
  tx: Transaction,
  held: Pick<HeldReindex, 'tenantId' | 'id' | 'lease'>,
  { code, message, retryable }: PermanentFailure,
): Promise<void> {
  const row = await tx.row<ReindexRow>(
    `update reindex set status = $2, error_code = $3, error_message = $4, lease_token = null,
       ended_at = case when $2 = 'failed' then now() end where id = $1 and lease_token = $5 and status = 'running' returning ${columns}`,
    [held.id, retryable ? 'paused' : 'failed', code, message, held.lease],
  );
  if (row) await recordFailed(tx, held, row, code);
}

async function recordFailed(
  tx: Transaction,
  scope: TenantScope,
  { id, knowledge_base_id: baseId, request_id: requestId, status }: ReindexRow,
  code: string,
): Promise<void> {
  await record(tx, scope, {
    type: 'reindex.failed',
    subjectId: baseId,
    requestId,
    data: { reindexId: showId('rix', id), knowledgeBaseId: showId('kb', baseId), status, code },
  });
}
