import { Injectable } from '@nestjs/common';
import { type Onlooker, type Scope, visibleTo } from '../access/principal.js';
import { recordAll } from '../events/outbox.js';
import { completeSync, type SyncOutcome } from '../knowledge/syncs.js';
import { boundary } from '../platform/boundary.js';
import { Database, type TenantScope, type Transaction } from '../platform/database.js';
import { showId } from '../platform/ids.js';
import { lockBase, type LockedBase, makeVersion, type Wish } from '../knowledge/next-version.js';

interface CommittedSync {
  id: string;
  delete_missing: boolean;
  committed_by: Omit<Onlooker, 'scopes'> & { scopes: Scope[] };
  created_at: Date;
}

/**
 * Makes what is staged in a base visible as its next version, and what a committed sync holds as one of its own: each in
 * one transaction. A reader sees the version before or the version after, nothing between.
 */
@Injectable()
export class Publishing {
  constructor(private readonly database: Database) {}

  /** Does nothing when nothing is pending: reminders may come more often than changes. */
  async publish(knowledgeBaseId: string, scope: TenantScope): Promise<void> {
    await this.inBase(knowledgeBaseId, scope, async (tx, base) => {
      await makeVersion(tx, scope, base, await takePending(tx, scope, base));
    });
    for (const id of await this.committed(knowledgeBaseId, scope)) {
      await this.inBase(knowledgeBaseId, scope, (tx, base) => publishSync(tx, scope, base, id));
    }
    await boundary('publish.committed', knowledgeBaseId);
  }

  /** Whether a base got two versions in the last two seconds: what comes next can wait for what comes after it. */
  async changesOften(knowledgeBaseId: string, scope: TenantScope): Promise<boolean> {
    const [row] = await this.database.once<{ recent: number }>(
      scope,
      `select count(*)::int as recent from (
         select created_at from version where knowledge_base_id = $1 and number > 0 order by number desc limit 2) v
       where created_at > now() - interval '2 seconds'`,
      [knowledgeBaseId],
    );
    return row?.recent === 2;
  }

  private async inBase(
    id: string,
    scope: TenantScope,
    work: (tx: Transaction, base: LockedBase) => Promise<void>,
  ): Promise<void> {
    await this.database.as(scope, async (tx) => {
      const base = await lockBase(tx, id);
      if (base && !base.waiting) await work(tx, base);
    });
  }

  /** The committed syncs of which nothing is still being read, oldest first. */
  private async committed(knowledgeBaseId: string, scope: TenantScope): Promise<string[]> {
    const rows = await this.database.once<{ id: string }>(
      scope,
      `select s.id from sync s where s.knowledge_base_id = $1 and s.status = 'committing' and not ${unread('s.id')} order by s.id`,
      [knowledgeBaseId],
    );
    return rows.map(({ id }) => id);
  }
}

const unread = (sync: string) =>
  `exists (select from revision r where r.sync_id = ${sync} and r.status in ('queued', 'parsing', 'chunking', 'embedding'))`;

/**
 * Takes the changes off the list. Rows are locked in the order in which staging and deleting lock them, revisions before documents before changes, or each would wait for the other. What
 * was staged between the statements stays on the list: its own reminder is on its way.
 */
async function takePending(tx: Transaction, scope: TenantScope, base: LockedBase): Promise<Wish[]> {
  const { id } = base;
  const revisions = await tx.rows<StagedRevision>(
    `select r.id, ${isWhole} as whole from revision r join pending_change p on p.document_id = r.document_id
     where p.knowledge_base_id = $1 and r.status in ('staged', 'ready') order by r.id for no key update of r`,
    [id, base.index_id],
  );
  const documents = await tx.rows<{ id: string }>(
    `select d.id from document d join pending_change p on p.document_id = d.id
     where p.knowledge_base_id = $1 and d.deleted_at is null order by d.id for no key update of d`,
    [id],
  );
  const wishes = await tx.rows<Wish>(
    `delete from pending_change where knowledge_base_id = $1 and document_id = any($2::uuid[])
       and (revision_id is null or revision_id = any($3::uuid[])) returning document_id, revision_id`,
    [id, documents.map((document) => document.id), revisions.map((revision) => revision.id)],
  );
  const wished = new Set(wishes.map((wish) => wish.revision_id));
  const elsewhere = await requeue(
    tx,
    scope,
    revisions.filter(({ id: revision }) => wished.has(revision)),
  );
  return wishes.filter(({ revision_id: revision }) => revision === null || !elsewhere.has(revision));
}

interface StagedRevision {
  id: string;
  /** The active version's index has all of it. */
  whole: boolean;
}

/** As SQL: whether index $2 has all of revision `r`. */
const isWhole = 'exists (select from segment_revision s where s.index_id = $2 and s.revision_id = r.id)';

/**
 * What was staged in an index that is not the one of the active version is put back, to be cut and embedded for this one
 * from its stored text: a version shows one index, and what it cannot show must not be lost.
 * @returns the ids of those
 */
async function requeue(
  tx: Transaction,
  scope: TenantScope,
  revisions: readonly StagedRevision[],
): Promise<Set<string>> {
  const elsewhere = revisions.flatMap(({ id, whole }) => (whole ? [] : [id]));
  if (elsewhere.length === 0) return new Set();
  await tx.run(
    `update revision set status = 'queued', done = 0, total = 0, leases = 0, tries = greatest(tries, 1), lease_token = null,
       lease_expires_at = now() where id = any($1::uuid[])`,
    [elsewhere],
  );
  await recordAll(
    tx,
    scope,
    elsewhere.map((id) => ({
      type: 'revision.requeued' as const,
      subjectId: id,
      data: { revisionId: showId('rev', id) },
    })),
  );
  return new Set(elsewhere);
}

/** Everything that a sync holds, as one version. */
async function publishSync(tx: Transaction, scope: TenantScope, base: LockedBase, id: string): Promise<void> {
  const sync = await tx.row<CommittedSync>(
    `select s.id, s.delete_missing, s.committed_by, s.created_at from sync s
     where s.id = $1 and s.status = 'committing' and not ${unread('s.id')} for update of s`,
    [id],
  );
  if (!sync) return;
  const staged = await takeStaged(tx, scope, base, id);
  // It goes on when the last of them is read for the index of today.
  if (!staged) return;
  const missing = sync.delete_missing ? await missingIn(tx, base, sync) : [];
  const outcome = await outcomeOf(tx, id, staged.length, missing.length);
  await tx.run('update sync set outcome = $2 where id = $1', [id, JSON.stringify(outcome)]);
  const cause = { kind: 'sync', syncId: showId('sync', id) };
  const made = await makeVersion(tx, scope, base, [...staged, ...missing], cause);
  if (made === null) await completeSync(tx, scope, id, null);
}

/** In the order of locks that {@link takePending} has. @returns null where some had to be put back: see {@link requeue} */
async function takeStaged(
  tx: Transaction,
  scope: TenantScope,
  base: LockedBase,
  syncId: string,
): Promise<Wish[] | null> {
  const revisions = await tx.rows<StagedRevision & Wish & { revision_id: string }>(
    `select r.id, r.id as revision_id, r.document_id, ${isWhole} as whole from revision r
     where r.sync_id = $1 and r.status = 'staged' order by r.id for no key update of r`,
    [syncId, base.index_id],
  );
  if ((await requeue(tx, scope, revisions)).size > 0) return null;
  const documents = await tx.rows<{ id: string }>(
    'select id from document where id = any($1::uuid[]) and deleted_at is null order by id for no key update',
    [revisions.map((revision) => revision.document_id)],
  );
  const there = new Set(documents.map((document) => document.id));
  return revisions.filter((revision) => there.has(revision.document_id));
}

/**
 * What the active version shows and the sync did not name, of what whoever committed it may see; not what came from
 * outside the sync since it began.
 */
function missingIn(tx: Transaction, base: LockedBase, sync: CommittedSync): Promise<Wish[]> {
  const parameters: unknown[] = [base.id, base.index_id, base.active_version, sync.id, sync.created_at];
  const visible = visibleTo({ ...sync.committed_by, scopes: new Set(sync.committed_by.scopes) }, parameters);
  return tx.rows<Wish>(
    `select d.id as document_id, null as revision_id from document d
     where d.knowledge_base_id = $1 and ${visible}
       and exists (select from chunk c where c.index_id = $2 and c.document_id = d.id and c.visible @> $3::int)
       and not exists (select from sync_document n where n.sync_id = $4 and n.document_id = d.id)
       and not exists (select from revision r where r.document_id = d.id and r.sync_id is null and r.created_at >= $5)
       and (d.sent_again_at is null or d.sent_again_at < $5)
     order by d.id for no key update of d`,
    parameters,
  );
}

async function outcomeOf(tx: Transaction, id: string, published: number, unpublished: number): Promise<SyncOutcome> {
  const row = await tx.row<Pick<SyncOutcome, 'unchanged' | 'failed' | 'overtaken'>>(
    `select count(*) filter (where r.id is null)::int as unchanged,
       count(*) filter (where r.status = 'failed')::int as failed, count(*) filter (where r.status = 'superseded')::int as overtaken
     from sync_document n left join lateral (
       select id, status from revision where document_id = n.document_id and sync_id = $1 order by number desc limit 1) r on true
     where n.sync_id = $1`,
    [id],
  );
  return { published, unpublished, unchanged: 0, failed: 0, overtaken: 0, ...row };
}
