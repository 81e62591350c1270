import { Injectable } from '@nestjs/common';
import { IsNull } from 'typeorm';
import { ApiError, invalidField, notFound } from '../errors.js';
import { Database } from '../platform/database.js';
import { type Page, type PageQuery, page, startBelow } from '../platform/http/pages.js';
import { newId, readId, showId } from '../platform/ids.js';
import { SecretBox } from '../platform/secrets.js';
import { newApiKey } from './api-key.js';
import { ApiKey } from './api-key.entity.js';
import type { Principal, Scope } from './principal.js';

export interface NewApiKey {
  name: string;
  scopes: Scope[];
  subject?: string;
  groups?: string[];
  expiresAt?: string;
}

/** What is shown of a key after the day it was made: everything but the key. */
export function showApiKey(key: ApiKey) {
  return {
    id: showId('key', key.id),
    name: key.name,
    scopes: key.scopes,
    subject: key.subject,
    groups: key.groups,
    expiresAt: key.expiresAt,
    revokedAt: key.revokedAt,
    createdAt: key.createdAt,
  };
}

/** The keys of a tenant. Only keyed hashes are stored; a revoked key is refused from the next request on. */
@Injectable()
export class ApiKeys {
  constructor(
    private readonly database: Database,
    private readonly secrets: SecretBox,
  ) {}

  /** @throws ApiError forbidden when the new key would be allowed more than its maker */
  async create(principal: Principal, wish: NewApiKey) {
    refuseMore(principal, wish.scopes);
    const expiresAt = wish.expiresAt === undefined ? null : new Date(wish.expiresAt);
    if (expiresAt && expiresAt.getTime() <= Date.now()) throw invalidField('expiresAt', 'is in the past');
    const secret = newApiKey();
    const key = await this.database.as(principal, (tx) => {
      const keys = tx.repository(ApiKey);
      return keys.save(
        keys.create({
          id: newId(),
          tenantId: principal.tenantId,
          name: wish.name,
          keyHash: this.secrets.hash(secret),
          scopes: wish.scopes,
          subject: wish.subject ?? null,
          groups: wish.groups ?? [],
          expiresAt,
          createdAt: new Date(),
        }),
      );
    });
    return { ...showApiKey(key), key: secret };
  }

  async list(principal: Principal, query: PageQuery): Promise<Page<ReturnType<typeof showApiKey>>> {
    const rows = await this.database.as(principal, (tx) =>
      tx
        .repository(ApiKey)
        .createQueryBuilder('key')
        .where('key.id < :below', { below: startBelow(query) })
        .orderBy('key.id', 'DESC')
        .take(query.limit + 1)
        .getMany(),
    );
    return page(rows, query, showApiKey);
  }

  async revoke(principal: Principal, shownId: string): Promise<void> {
    const id = readId('key', shownId);
    const sql = 'update api_key set revoked_at = coalesce(revoked_at, now()) where id = $1';
    const found = await this.database.as(principal, (tx) => tx.run(sql, [id]));
    if (found === 0) throw notFound();
  }

  /**
   * A new secret for the same key; the one before stays good for `graceSeconds`.
   * @throws ApiError forbidden when the key is allowed more than the caller, who would hold it from now on
   */
  async rotate(principal: Principal, shownId: string, graceSeconds: number) {
    const id = readId('key', shownId);
    const secret = newApiKey();
    return this.database.as(principal, async (tx) => {
      const key = await tx.repository(ApiKey).findOneBy({ id, revokedAt: IsNull() });
      if (!key) throw notFound();
      refuseMore(principal, key.scopes);
      const rotated = await tx.run(
        `update api_key set previous_key_hash = key_hash, key_hash = $2,
           previous_expires_at = now() + make_interval(secs => $3)
         where id = $1 and revoked_at is null`,
        [id, this.secrets.hash(secret), graceSeconds],
      );
      if (rotated === 0) throw notFound();
      return { ...showApiKey(key), key: secret };
    });
  }
}

/** A key is never a way to more than its maker has: neither to a scope, nor out of some knowledge bases into all. */
function refuseMore(principal: Principal, scopes: readonly Scope[]): void {
  const beyond = scopes.filter((scope) => !principal.scopes.has(scope));
  if (beyond.length > 0) {
    throw new ApiError('forbidden', `A key cannot give what it does not have: ${beyond.join(', ')}.`);
  }
  if (principal.knowledgeBases !== null) {
    throw new ApiError('forbidden', 'A key reaches all knowledge bases: a caller limited to some cannot make one.');
  }
}
