import { createPrivateKey, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type JWTPayload, SignJWT } from 'jose';
import type { Answer, Service } from './harness.js';

export interface Tenant {
  /** As callers see it: `ten_…`. */
  id: string;
  /** The UUID in the rows. */
  uuid: string;
  key: string;
}

export interface Base {
  id: string;
  key: string;
}

/** Every scope a tenant's own key may carry. */
export const everyScope = [
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
];

export const newId = (prefix: string) => `${prefix}_${randomUUID()}`;

export function made(answer: Answer): Answer['body'] {
  if (answer.status >= 300) throw new Error(`expected something to be made, got ${answer.status}: ${answer.text}`);
  return answer.body;
}

export async function makeTenant({ call, adminKey }: Service): Promise<Tenant> {
  const tenant = made(await call('POST', '/v1/tenants', { key: adminKey, body: { name: randomUUID() } }));
  return { id: tenant.id, uuid: tenant.id.slice('ten_'.length), key: tenant.apiKey };
}

export async function makeKey({ call }: Service, key: string, wish: object): Promise<{ id: string; key: string }> {
  return made(await call('POST', '/v1/api-keys', { key, body: { name: 'a key', ...wish } }));
}

export async function makeToken({ call }: Service, key: string, wish: object): Promise<string> {
  const body = { subject: 'ada', scopes: ['documents:read', 'search', 'chat'], ...wish };
  return made(await call('POST', '/v1/tokens', { key, body })).token;
}

export async function makeBase({ call }: Service, key: string): Promise<Base> {
  return { ...made(await call('POST', '/v1/knowledge-bases', { key, body: { name: randomUUID() } })), key };
}

/** A document of a base, ready unless `settle` is left to the caller. */
export async function makeDocument(service: Service, { id, key }: Base, wish: object = {}): Promise<Answer['body']> {
  const body = { title: 'Leave', content: 'Everyone has 27 days of annual leave.', ...wish };
  const document = made(await service.call('POST', `/v1/knowledge-bases/${id}/documents`, { key, body }));
  await service.settle();
  return document;
}

/** Lets a key expire now: its row says so, as it would after the time that was set. */
export function expire(service: Service, tenant: Tenant, keyId: string): Promise<number> {
  const sql = `update api_key set expires_at = now() - interval '1 second' where id = $1`;
  return service.database().as({ tenantId: tenant.uuid }, (tx) => tx.run(sql, [keyId.slice('key_'.length)]));
}

export async function signingKey({ dataDir }: Service) {
  return createPrivateKey(await readFile(join(dataDir, 'token-key.pem'), 'utf8'));
}

/** A token as the service would sign it, but for the claims that are said to differ; undefined leaves one out. */
export async function signToken(service: Service, tenant: Tenant, differing: JWTPayload = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const usual = { iss: 'lectern', aud: 'lectern', sub: 'ada', iat: now, exp: now + 900 };
  const claims = { ...usual, tenant: tenant.uuid, groups: [], scope: everyScope.join(' '), bases: null, key: null };
  return new SignJWT({ ...claims, ...differing })
    .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt' })
    .sign(await signingKey(service));
}
