import { Inject, Injectable } from '@nestjs/common';
import type { Principal } from '../../access/principal.js';
import { CONFIG, type Config } from '../../config.js';
import { notFound } from '../../errors.js';
import { Database, type TenantScope } from '../../platform/database.js';
import { type Page, type PageQuery, page, startBelow } from '../../platform/http/pages.js';
import { newId, readId, showId } from '../../platform/ids.js';
import { SecretBox } from '../../platform/secrets.js';
import { newSecret } from '../signature.js';

interface SourceRow {
  id: string;
  knowledge_base_id: string;
  kind: string;
  created_at: Date;
}

const columns = 'id, knowledge_base_id, kind, created_at';

/** A source as its hook needs it, before anybody knows who is calling. */
export interface HookSource extends TenantScope {
  id: string;
  secret: string;
}

/** The content systems whose hooks are listened to, each feeding one knowledge base. */
@Injectable()
export class Sources {
  constructor(
    private readonly database: Database,
    private readonly secrets: SecretBox,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * @returns the source with its secret, which is shown here and never again
   * @throws ApiError not_found when there is no such base, or not for this caller
   */
  async create(principal: Principal, wish: { knowledgeBaseId: string; kind: 'generic' }) {
    const base = readId('kb', wish.knowledgeBaseId);
    if (principal.knowledgeBases !== null && !principal.knowledgeBases.includes(base)) throw notFound();
    const secret = newSecret();
    const row = await this.database.as(principal, (tx) =>
      tx.row<SourceRow>(
        `insert into cms_source (id, tenant_id, knowledge_base_id, kind, secret)
         select $1, b.tenant_id, b.id, $3, $4 from knowledge_base b where b.id = $2 and b.deleted_at is null
         returning ${columns}`,
        [newId(), base, wish.kind, this.secrets.seal(secret)],
      ),
    );
    if (!row) throw notFound();
    return { ...this.show(row), secret };
  }

  async list(principal: Principal, query: PageQuery): Promise<Page<ReturnType<Sources['show']>>> {
    const rows = await this.database.as(principal, (tx) =>
      tx.rows<SourceRow>(
        `select ${columns} from cms_source
         where deleted_at is null and id < $1 and ($2::uuid[] is null or knowledge_base_id = any($2::uuid[]))
         order by id desc limit $3`,
        [startBelow(query), principal.knowledgeBases, query.limit + 1],
      ),
    );
    return page(rows, query, (row) => this.show(row));
  }

  /** Its hooks are refused from now on, like those of a source that never was. */
  async delete(principal: Principal, shownId: string): Promise<void> {
    const id = readId('cms', shownId);
    const deleted = await this.database.as(principal, (tx) =>
      tx.run(
        `update cms_source set deleted_at = now()
         where id = $1 and deleted_at is null and ($2::uuid[] is null or knowledge_base_id = any($2::uuid[]))`,
        [id, principal.knowledgeBases],
      ),
    );
    if (deleted === 0) throw notFound();
  }

  /** @returns null for a source that was deleted, never was, or has no such id */
  async ofHook(shownId: string): Promise<HookSource | null> {
    const id = /^cms_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.exec(shownId)?.[1];
    if (id === undefined) return null;
    const [row] = await this.database.onceAsSystem<{ tenant_id: string; secret: Buffer }>(
      'select tenant_id, secret from cms_source where id = $1 and deleted_at is null',
      [id],
    );
    return row ? { id, tenantId: row.tenant_id, secret: this.secrets.open(row.secret) } : null;
  }

  private show(row: SourceRow) {
    const id = showId('cms', row.id);
    const origin = this.config.publicUrl ?? `http://localhost:${this.config.port}`;
    return {
      id,
      knowledgeBaseId: showId('kb', row.knowledge_base_id),
      kind: row.kind,
      hookUrl: `${origin}/v1/hooks/${id}`,
      createdAt: row.created_at,
    };
  }
}
