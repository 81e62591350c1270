import type { TenantScope } from '../platform/database.js';

/** Everything a key or token may be allowed to do. `admin` is the service's own, above all tenants. */
export const scopes = [
  'admin',
  'keys:manage',
  'tokens:issue',
  'bases:manage',
  'documents:read',
  'documents:write',
  'documents:read-all',
  'search',
  'chat',
  'versions:manage',
  'versions:look-back',
  'webhooks:manage',
] as const;

export type Scope = (typeof scopes)[number];

/** What a tenant's own keys and tokens may carry. */
export const tenantScopes = scopes.filter((scope) => scope !== 'admin');

/** Who is asking: a plain value, made once a request, passed as the first argument to whatever touches rows. */
export interface Principal extends TenantScope {
  /** Stable name of the caller, for what belongs to a caller: `subject:ada`, or `key:<id>` when it acts for nobody. */
  readonly caller: string;
  readonly subject: string | null;
  readonly groups: readonly string[];
  readonly scopes: ReadonlySet<Scope>;
  /** The only knowledge bases this caller may name; null: all of the tenant's. */
  readonly knowledgeBases: readonly string[] | null;
  /** The API key behind this caller, also behind its token; null for the admin key. */
  readonly keyId: string | null;
}

/** What of a caller decides which documents they see. */
export type Onlooker = Pick<Principal, 'subject' | 'groups' | 'scopes'>;

/** The names under which documents are granted to this caller: `user:ada`, `group:hr`. */
export function grantees(principal: Onlooker): string[] {
  const user = principal.subject === null ? [] : [`user:${principal.subject}`];
  return [...user, ...principal.groups.map((group) => `group:${group}`)];
}

export const readsAll = (principal: Onlooker): boolean => principal.scopes.has('documents:read-all');

/**
 * The permission predicate: the one condition under which a row of `document d` may be seen. It is part of every
 * statement that lets text, titles or counts out of the database, and it is evaluated live: a revoked grant is gone from
 * the next statement. Deny wins over allow.
 * @param parameters the statement's parameters so far; the predicate's own are appended
 */
export function visibleTo(principal: Onlooker, parameters: unknown[]): string {
  parameters.push(readsAll(principal), grantees(principal));
  const [all, names] = [`$${parameters.length - 1}::boolean`, `$${parameters.length}::text[]`];
  const granted = (effect: string) =>
    `exists (select from document_grant g where g.document_id = d.id and g.principal = any(${names}) and g.effect = '${effect}')`;
  return `d.deleted_at is null and (${all} or ((d.visibility = 'tenant' or ${granted('allow')}) and not ${granted('deny')}))`;
}
