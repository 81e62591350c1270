import { Injectable } from '@nestjs/common';
import { ApiError } from '../errors.js';
import { Database, type Transaction } from '../platform/database.js';
import { newId } from '../platform/ids.js';
import { SecretBox } from '../platform/secrets.js';
import { newApiKey } from './api-key.js';
import { tenantScopes } from './principal.js';

export interface NewTenant {
  id: string;
  name: string;
  /** Shown once: only its keyed hash is kept. */
  apiKey: string;
}

/** The walls. A tenant is made together with its first key, which carries every scope a tenant's key may carry. */
@Injectable()
export class Tenants {
  constructor(
    private readonly database: Database,
    private readonly secrets: SecretBox,
  ) {}

  /** @throws ApiError already_exists when the name is taken */
  async create(name: string): Promise<NewTenant> {
    const created = await this.database.asSystem((tx) => this.insert(tx, name, newApiKey()));
    if (!created) throw new ApiError('already_exists', 'A tenant of this name is already there.');
    return created;
  }

  /**
   * Makes the tenant `default` if the service has no tenant yet.
   * @param keep gives the first key once it is safely kept: a crash in between must not lose it
   * @returns null when there is a tenant already
   */
  async createFirst(keep: () => Promise<string> = async () => newApiKey()): Promise<NewTenant | null> {
    if (await this.database.asSystem((tx) => tx.row('select id from tenant limit 1'))) return null;
    const apiKey = await keep();
    return this.database.asSystem((tx) => this.insert(tx, 'default', apiKey));
  }

  /** The tenant that the admin key names by id, or `default` when it names none. */
  async find(id: string | null): Promise<string | null> {
    const sql = id === null ? `select id from tenant where name = $1` : 'select id from tenant where id = $1';
    const [found] = await this.database.onceAsSystem<{ id: string }>(sql, [id ?? 'default']);
    return found?.id ?? null;
  }

  private async insert(tx: Transaction, name: string, apiKey: string): Promise<NewTenant | null> {
    const id = newId();
    const made = await tx.run('insert into tenant (id, name) values ($1, $2) on conflict (name) do nothing', [
      id,
      name,
    ]);
    if (made === 0) return null;
    await tx.run('insert into api_key (id, tenant_id, name, key_hash, scopes) values ($1, $2, $3, $4, $5)', [
      newId(),
      id,
      'first key',
      this.secrets.hash(apiKey),
      tenantScopes,
    ]);
    return { id, name, apiKey };
  }
}
