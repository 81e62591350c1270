import { Inject, Injectable } from '@nestjs/common';
import type { Principal } from '../access/principal.js';
import { CONFIG, type Config } from '../config.js';
import { ApiError, notFound } from '../errors.js';
import { record } from '../events/outbox.js';
import { Database, type TenantScope, type Transaction } from '../platform/database.js';
import { type Page, type PageQuery, page, startBelow } from '../platform/http/pages.js';
import { newId, readId, showId } from '../platform/ids.js';
import { deleteDocument } from './document-changes.js';
import { type HeldDetails, writeDetails } from './document-details.js';
import { lockExternalIds } from './documents.js';
import { holdBase, openBase } from './knowledge-bases.js';

export type SyncStatus = 'open' | 'committing' | 'completed' | 'blocked' | 'aborted' | 'expired';

/** What came of a sync, in documents. */
export interface SyncOutcome {
  published: number;
  unpublished: number;
  /** Their bytes were served already. */
  unchanged: number;
  /** They could not be read: what was served of them before, still is. */
  failed: number;
  /** Something newer came from outside the sync. */
  overtaken: number;
}

export interface SyncRow {
  id: string;
  knowledge_base_id: string;
  status: SyncStatus;
  delete_missing: boolean;
  version: number | null;
  outcome: SyncOutcome | null;
  created_at: Date;
  ended_at: Date | null;
  documents: number;
}

const columns = `s.id, s.knowledge_base_id, s.status, s.delete_missing, s.version, s.outcome, s.created_at, s.ended_at,
  (select count(*)::int from sync_document n where n.sync_id = s.id) as documents`;

const showSync = (row: SyncRow) => ({
  id: showId('sync', row.id),
  knowledgeBaseId: showId('kb', row.knowledge_base_id),
  status: row.status,
  deleteMissing: row.delete_missing,
  documents: row.documents,
  version: row.version,
  outcome: row.outcome,
  createdAt: row.created_at,
  endedAt: row.ended_at,
});

/** Any number of uploads that become one version, or nothing at all. */
@Injectable()
export class Syncs {
  constructor(
    private readonly database: Database,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  async begin(principal: Principal, base: string, requestId: string) {
    const id = newId();
    return this.database.as(principal, async (tx) => {
      const { id: baseId } = await openBase(tx, principal, base);
      await tx.run(
        `insert into sync (id, tenant_id, knowledge_base_id, status, request_id) values ($1, $2, $3, 'open', $4)`,
        [id, principal.tenantId, baseId, requestId],
      );
      return showSync(await read(tx, baseId, id));
    });
  }

  async get(principal: Principal, base: string, sync: string) {
    return this.database.as(principal, async (tx) => {
      const { id: baseId } = await openBase(tx, principal, base);
      return showSync(await read(tx, baseId, readId('sync', sync)));
    });
  }

  async list(principal: Principal, base: string, query: PageQuery): Promise<Page<ReturnType<typeof showSync>>> {
    const rows = await this.database.as(principal, async (tx) => {
      const { id: baseId } = await openBase(tx, principal, base);
      return tx.rows<SyncRow>(
        `select ${columns} from sync s where s.knowledge_base_id = $1 and s.id < $2 order by s.id desc limit $3`,
        [baseId, startBelow(query), query.limit + 1],
      );
    });
    return page(rows, query, showSync);
  }

  /**
   * Its documents become one version as soon as all of them are read. To commit again changes nothing.
   * @throws ApiError conflict when it was aborted or has expired
   */
  async commit(principal: Principal, base: string, sync: string, deleteMissing: boolean) {
    return this.onSync(principal, base, sync, async (tx, row) => {
      if (['completed', 'committing', 'blocked'].includes(row.status)) return;
      if (row.status !== 'open') throw new ApiError('conflict', `This sync is ${row.status}: begin another one.`);
      const { subject, groups, scopes } = principal;
      const onlooker = { subject, groups, scopes: [...scopes] };
      await tx.run(`update sync set status = 'committing', delete_missing = $2, committed_by = $3 where id = $1`, [
        row.id,
        deleteMissing,
        JSON.stringify(onlooker),
      ]);
      await record(tx, principal, { type: 'sync.committed', data: { knowledgeBaseId: row.knowledge_base_id } });
    });
  }

  /** Nothing of it will ever answer. @throws ApiError conflict when it was committed */
  async abort(principal: Principal, base: string, sync: string) {
    const deed = async (tx: Transaction, row: SyncRow) => {
      if (row.status === 'aborted' || row.status === 'expired') return;
      if (row.status !== 'open' && row.status !== 'blocked')
        throw new ApiError('conflict', `This sync is ${row.status} and cannot be aborted.`);
      await discard(tx, principal, row, 'aborted');
    };
    // Before the sync, as in publishing: its version may be about to be activated by force.
    return this.onSync(principal, base, sync, deed, holdBase);
  }

  /** Ends the syncs that nobody has uploaded to for long: their uploads are held back for nothing. */
  async expire(): Promise<void> {
    const forgotten = `s.status = 'open' and greatest(s.created_at,
      (select max(n.created_at) from sync_document n where n.sync_id = s.id)) < now() - make_interval(hours => $1)`;
    const rows = await this.database.onceAsSystem<{ id: string; tenant_id: string }>(
      `select s.id, s.tenant_id from sync s where ${forgotten} limit 100`,
      [this.config.knowledge.syncHours],
    );
    for (const { id, tenant_id: tenantId } of rows) {
      await this.database.as({ tenantId }, async (tx) => {
        const row = await tx.row<SyncRow>(`select ${columns} from sync s where s.id = $1 for update of s`, [id]);
        if (row?.status === 'open') await discard(tx, { tenantId }, row, 'expired');
      });
    }
  }

  private async onSync(
    principal: Principal,
    base: string,
    sync: string,
    deed: (tx: Transaction, row: SyncRow) => Promise<void>,
    hold: (tx: Transaction, baseId: string) => Promise<void> = async () => undefined,
  ) {
    return this.database.as(principal, async (tx) => {
      const { id: baseId } = await openBase(tx, principal, base);
      const id = readId('sync', sync);
      await hold(tx, baseId);
      await deed(tx, await read(tx, baseId, id, 'for update of s'));
      return showSync(await read(tx, baseId, id));
    });
  }
}

async function read(tx: Transaction, baseId: string, id: string, lock: 'for update of s' | '' = ''): Promise<SyncRow> {
  const row = await tx.row<SyncRow>(
    `select ${columns} from sync s where s.knowledge_base_id = $1 and s.id = $2 ${lock}`,
    [baseId, id],
  );
  if (!row) throw notFound();
  return row;
}

/** Its revisions are superseded before they answered; documents that only it has made go with them. */
async function discard(
  tx: Transaction,
  scope: TenantScope,
  { id, knowledge_base_id: baseId, version }: SyncRow,
  how: 'aborted' | 'expired',
): Promise<void> {
  await lockExternalIds(tx, baseId);
  await tx.run(
    `update revision set sync_id = null, lease_token = null,
       status = case when status in ('failed', 'superseded') then status else 'superseded' end where sync_id = $1`,
    [id],
  );
  const made = await tx.rows<{ id: string }>(
    `select d.id from sync_document n join document d on d.id = n.document_id
     where n.sync_id = $1 and n.made and d.deleted_at is null
       and not exists (select from revision r where r.document_id = d.id and r.status <> 'superseded' and r.status <> 'failed')`,
    [id],
  );
  for (const document of made) await deleteDocument(tx, scope, baseId, document.id, { cause: 'sync' });
  await tx.run('update sync set status = $2, ended_at = now() where id = $1', [id, how]);
  await tx.run(
    `update version set status = 'retired' where knowledge_base_id = $1 and number = $2 and status = 'blocked'`,
    [baseId, version],
  );
  await record(tx, scope, {
    type: 'sync.failed',
    subjectId: id,
    data: { syncId: showId('sync', id), knowledgeBaseId: showId('kb', baseId), reason: how },
  });
}

/**
 * In the caller's transaction: the version that it made was blocked, and is no longer kept. It ends as one that nobody
 * committed in time.
 */
export async function expireBlocked(tx: Transaction, scope: TenantScope, id: string, version: number): Promise<void> {
  const row = await tx.row<SyncRow>(
    `select ${columns} from sync s where s.id = $1 and s.status = 'blocked' and s.version = $2 for update of s`,
    [id, version],
  );
  if (row) await discard(tx, scope, row, 'expired');
}

/**
 * The open sync that an upload names, kept open until the caller's transaction ends.
 * @throws ApiError unprocessable when there is none; conflict when it is no longer open
 */
export async function openSync(tx: Transaction, baseId: string, shownId: string): Promise<string> {
  const row = await tx.row<{ id: string; status: SyncStatus }>(
    'select id, status from sync where knowledge_base_id = $1 and id = $2 for share',
    [baseId, readId('sync', shownId)],
  );
  if (!row) throw notFound();
  if (row.status !== 'open') throw new ApiError('conflict', `This sync is ${row.status}: begin another one.`);
  return row.id;
}

/** @param details what is said of a document whose bytes are served already: it waits for the commit */
export async function nameInSync(
  tx: Transaction,
  scope: TenantScope,
  syncId: string,
  documentId: string,
  { made, details }: { made: boolean; details: HeldDetails },
): Promise<void> {
  await tx.run(
    `insert into sync_document (tenant_id, sync_id, document_id, made, details) values ($1, $2, $3, $4, $5)
     on conflict (sync_id, document_id) do update set details = sync_document.details || excluded.details, created_at = now()`,
    [scope.tenantId, syncId, documentId, made, JSON.stringify(details)],
  );
}

/**
 * Its version answers now, or there was nothing to make one of.
 * @param version null when it would have shown nothing else
 */
export async function completeSync(
  tx: Transaction,
  scope: TenantScope,
  id: string,
  version: number | null,
): Promise<void> {
  await sayHeld(tx, id);
  await publishLate(tx, scope, id);
  await tx.run('update revision set sync_id = null where sync_id = $1', [id]);
  const row = await tx.row<Pick<SyncRow, 'knowledge_base_id' | 'outcome'> & { request_id: string | null }>(
    `update sync set status = 'completed', version = $2, ended_at = now() where id = $1 and status in ('committing', 'blocked')
     returning knowledge_base_id, outcome, request_id`,
    [id, version],
  );
  if (!row) throw new Error('a sync ended that was not committed, or was given up');
  await record(tx, scope, {
    type: 'sync.completed',
    subjectId: id,
    requestId: row.request_id,
    data: {
      syncId: showId('sync', id),
      knowledgeBaseId: showId('kb', row.knowledge_base_id),
      version,
      ...row.outcome,
    },
  });
}

/** The gate has kept its version back: nothing of it answers until a person activates that, or aborts the sync. */
export async function blockSync(tx: Transaction, scope: TenantScope, id: string, version: number): Promise<void> {
  const row = await tx.row<Pick<SyncRow, 'knowledge_base_id'>>(
    `update sync set status = 'blocked', version = $2 where id = $1 and status = 'committing' returning knowledge_base_id`,
    [id, version],
  );
  if (!row) return;
  await record(tx, scope, {
    type: 'sync.failed',
    subjectId: id,
    data: {
      syncId: showId('sync', id),
      knowledgeBaseId: showId('kb', row.knowledge_base_id),
      version,
      reason: 'blocked',
    },
  });
}

/** What failed, and was read after all when its version was made already, goes into the next one. */
async function publishLate(tx: Transaction, scope: TenantScope, syncId: string): Promise<void> {
  const [late] = await tx.rows<{ base: string }>(
    `insert into pending_change (tenant_id, knowledge_base_id, document_id, kind, revision_id)
     select r.tenant_id, d.knowledge_base_id, d.id, 'publish', r.id from revision r join document d on d.id = r.document_id
     where r.sync_id = $1 and r.status = 'staged' and d.deleted_at is null and not exists
       (select from revision n where n.document_id = d.id and n.number > r.number and n.status not in ('failed', 'superseded')
          and (n.sync_id is null or n.sync_id = r.sync_id))
     on conflict (knowledge_base_id, document_id) do update set revision_id = excluded.revision_id, created_at = now()
       where pending_change.kind = 'publish' returning knowledge_base_id as base`,
    [syncId],
  );
  if (late) await record(tx, scope, { type: 'revision.staged', requestId: null, data: { knowledgeBaseId: late.base } });
}

/** What was said of documents whose bytes were served already. */
async function sayHeld(tx: Transaction, syncId: string): Promise<void> {
  const rows = await tx.rows<{ document_id: string; details: HeldDetails }>(
    `select n.document_id, n.details from sync_document n join document d on d.id = n.document_id
     where n.sync_id = $1 and n.details <> '{}' and d.deleted_at is null`,
    [syncId],
  );
  for (const row of rows) await writeDetails(tx, row.document_id, row.details);
}
