import { timingSafeEqual } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../config.js';
import { ApiError } from '../errors.js';
import { Database } from '../platform/database.js';
import { readId } from '../platform/ids.js';
import { SecretBox } from '../platform/secrets.js';
import { isApiKey } from './api-key.js';
import { type Principal, scopes, type Scope } from './principal.js';
import { Tenants } from './tenants.js';
import { Tokens } from './tokens.js';

interface KeyRow {
  id: string;
  tenant_id: string;
  scopes: Scope[];
  subject: string | null;
  groups: string[];
}

const live = 'revoked_at is null and (expires_at is null or expires_at > now())';

/**
 * From an Authorization header to a Principal. Asked anew for every request, so that revoking a key ends it, and the
 * tokens made with it, at once. Every reason for a refusal gives the same answer.
 */
@Injectable()
export class Authenticator {
  constructor(
    private readonly database: Database,
    private readonly secrets: SecretBox,
    private readonly tokens: Tokens,
    private readonly tenants: Tenants,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * @param authorization the header as it came
   * @param tenant the tenant that an admin names (`ten_…`); of no effect for anybody else
   * @throws ApiError unauthenticated
   */
  async principal(authorization: string | undefined, tenant: string | undefined): Promise<Principal> {
    const credential = /^Bearer (.{1,4096})$/i.exec(authorization ?? '')?.[1];
    if (!credential) throw new ApiError('unauthenticated');
    const found = this.isAdmin(credential)
      ? await this.admin(tenant)
      : credential.startsWith('lk_')
        ? await this.byKey(credential)
        : await this.byToken(credential);
    if (!found) throw new ApiError('unauthenticated');
    return found;
  }

  private isAdmin(credential: string): boolean {
    if (this.config.adminApiKey === null) return false;
    // Hashed first: the comparison then takes the same time whatever the lengths are.
    return timingSafeEqual(this.secrets.hash(credential), this.secrets.hash(this.config.adminApiKey));
  }

  /** @throws ApiError not_found when the admin names a tenant that is not there */
  private async admin(tenant: string | undefined): Promise<Principal> {
    const tenantId = await this.tenants.find(tenant === undefined ? null : readId('ten', tenant));
    if (tenantId === null) throw new ApiError('not_found');
    const everything = new Set(scopes);
    return {
      tenantId,
      caller: 'admin',
      subject: null,
      groups: [],
      scopes: everything,
      knowledgeBases: null,
      keyId: null,
    };
  }

  private async byKey(credential: string): Promise<Principal | null> {
    if (!isApiKey(credential)) return null;
    const [key] = await this.database.onceAsSystem<KeyRow>(
      `select id, tenant_id, scopes, subject, groups from api_key
       where (key_hash = $1 or (previous_key_hash = $1 and previous_expires_at > now())) and ${live}`,
      [this.secrets.hash(credential)],
    );
    if (!key) return null;
    return {
      tenantId: key.tenant_id,
      caller: key.subject === null ? `key:${key.id}` : `subject:${key.subject}`,
      subject: key.subject,
      groups: key.groups,
      scopes: new Set(key.scopes),
      knowledgeBases: null,
      keyId: key.id,
    };
  }

  private async byToken(credential: string): Promise<Principal | null> {
    const claims = await this.tokens.verify(credential);
    if (!claims) return null;
    if (claims.keyId !== null) {
      const sql = `select id from api_key where id = $1 and tenant_id = $2 and ${live}`;
      const issuers = await this.database.onceAsSystem(sql, [claims.keyId, claims.tenantId]);
      if (issuers.length === 0) return null;
    }
    return { ...claims, caller: `subject:${claims.subject}`, scopes: new Set(claims.scopes) };
  }
}
