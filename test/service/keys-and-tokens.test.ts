import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { everyScope, expire, makeBase, makeKey, makeTenant, makeToken, signingKey, signToken } from './callers.js';
import type { Tenant } from './callers.js';
import { type Service, startService } from './harness.js';

let service: Service;
let tenant: Tenant;

beforeAll(async () => {
  service = await startService();
});
beforeEach(async () => {
  tenant = await makeTenant(service);
});
afterAll(() => service.stop());

/** A call that every credential of ours may make; the request id is fixed, so that bodies can be compared. */
const enter = (key: string | null) =>
  service.call('GET', '/v1/knowledge-bases', { key, headers: { 'x-request-id': 'same' } });
const works = async (key: string) => (await enter(key)).status === 200;
const keys = (id = '') => `/v1/api-keys${id && `/${id}`}`;

/** How many transactions the service opens while something is done. Counts at the door and lets everything through. */
async function transactionsDuring(work: () => Promise<unknown>): Promise<number> {
  const database = service.database();
  const { asSystem, as, snapshot, onceAsSystem } = database;
  let opened = 0;
  const counted = <T extends (...given: never[]) => unknown>(method: T) =>
    ((...given: Parameters<T>) => {
      opened++;
      return method.apply(database, given);
    }) as T;
  Object.assign(database, {
    asSystem: counted(asSystem),
    as: counted(as),
    snapshot: counted(snapshot),
    onceAsSystem: counted(onceAsSystem),
  });
  await work();
  Object.assign(database, { asSystem, as, snapshot, onceAsSystem });
  return opened;
}

describe('an API key', () => {
  it('is shown once: neither the list nor a row of the table holds it again', async () => {
    const { id, key } = await makeKey(service, tenant.key, { scopes: ['search'], subject: 'ada', groups: ['hr'] });
    expect(key).toMatch(/^lk_[0-9A-Za-z]{36}$/);
    const listed = await service.call('GET', keys(), { key: tenant.key });
    expect(listed.body.data).toContainEqual(
      expect.objectContaining({ id, scopes: ['search'], subject: 'ada', groups: ['hr'] }),
    );
    expect(listed.text).not.toContain(key);
    const rows = await service
      .database()
      .as({ tenantId: tenant.uuid }, (tx) => tx.rows<{ row: string }>('select k::text as row from api_key k'));
    const stored = rows.map(({ row }) => row).join('\n');
    for (const form of [key, key.slice(3, 33), Buffer.from(key).toString('hex'), Buffer.from(key).toString('base64')]) {
      expect(stored).not.toContain(form);
    }
  });

  it('with a typo is refused without a query, an unknown one with a query, and both in the same words', async () => {
    const flip = (at: number) =>
      `${tenant.key.slice(0, at)}${tenant.key[at] === 'a' ? 'b' : 'a'}${tenant.key.slice(at + 1)}`;
    expect(await transactionsDuring(() => enter(flip(10)))).toBe(0);
    expect(await transactionsDuring(() => enter(flip(38)))).toBe(0);
    expect(await transactionsDuring(() => enter(`${tenant.key}a`))).toBe(0);
    const { key: revoked, id } = await makeKey(service, tenant.key, { scopes: ['search'] });
    await service.call('DELETE', keys(id), { key: tenant.key });
    expect(await transactionsDuring(() => enter(revoked))).toBe(1);
    expect((await enter(flip(10))).text).toBe((await enter(revoked)).text);
  });

  it('ends at its time', async () => {
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
    const { id, key } = await makeKey(service, tenant.key, { scopes: ['search'], expiresAt });
    expect(await works(key)).toBe(true);
    await expire(service, tenant, id);
    expect(await works(key)).toBe(false);
  });

  it('cannot be made to have ended already', async () => {
    const body = { name: 'late', scopes: ['search'], expiresAt: '2020-01-01T00:00:00Z' };
    const refused = await service.call('POST', keys(), { key: tenant.key, body });
    expect(refused).toMatchObject({ status: 400, body: { errors: [{ field: 'expiresAt' }] } });
  });

  it('that is revoked ends with the next request, and so do the tokens made with it', async () => {
    const issuer = await makeKey(service, tenant.key, { scopes: ['tokens:issue', 'search'] });
    const token = await makeToken(service, issuer.key, { scopes: ['tokens:issue', 'search'] });
    const ofToken = await makeToken(service, token, { scopes: ['search'] });
    const elsewhere = await makeToken(service, tenant.key, { scopes: ['search'] });
    expect(await Promise.all([issuer.key, token, ofToken].map(works))).toEqual([true, true, true]);
    expect((await service.call('DELETE', keys(issuer.id), { key: tenant.key })).status).toBe(204);
    expect(await Promise.all([issuer.key, token, ofToken, elsewhere].map(works))).toEqual([false, false, false, true]);
  });

  it('that is rotated leaves the one before good for the grace that was asked for, and no longer', async () => {
    const { id, key: first } = await makeKey(service, tenant.key, { scopes: ['search'] });
    const rotate = async (graceSeconds: number): Promise<string> =>
      (await service.call('POST', `${keys(id)}/rotate`, { key: tenant.key, body: { graceSeconds } })).body.key;
    const second = await rotate(600);
    expect(await Promise.all([first, second].map(works))).toEqual([true, true]);
    const third = await rotate(0);
    expect(await Promise.all([first, second, third].map(works))).toEqual([false, false, true]);
    await service.call('DELETE', keys(id), { key: tenant.key });
    expect((await service.call('POST', `${keys(id)}/rotate`, { key: tenant.key, body: {} })).status).toBe(404);
  });

  it('never gives more than its maker has: not by making, not by rotating, not by a token', async () => {
    const small = await makeKey(service, tenant.key, { scopes: ['keys:manage', 'tokens:issue', 'search'] });
    const large = await makeKey(service, tenant.key, { scopes: ['keys:manage', 'documents:read-all'] });
    const wider = { scopes: ['search', 'documents:read-all'] };
    const attempts = [
      await service.call('POST', keys(), { key: small.key, body: { name: 'wider', ...wider } }),
      await service.call('POST', `${keys(large.id)}/rotate`, { key: small.key, body: {} }),
      await service.call('POST', '/v1/tokens', { key: small.key, body: { subject: 'ada', ...wider } }),
    ];
    expect(attempts.map(({ status }) => status)).toEqual([403, 403, 403]);
    const unchanged = await service.call('GET', keys(), { key: large.key });
    expect(unchanged.status, 'a refused rotation changes nothing').toBe(200);
  });

  it('cannot be made or rotated by a caller limited to some knowledge bases: a key reaches all', async () => {
    const { id: base } = await makeBase(service, tenant.key);
    const { id } = await makeKey(service, tenant.key, { scopes: ['search'] });
    const limited = await makeToken(service, tenant.key, { scopes: ['keys:manage', 'search'], knowledgeBases: [base] });
    const body = { name: 'all of them', scopes: ['search'] };
    expect((await service.call('POST', keys(), { key: limited, body })).status).toBe(403);
    expect((await service.call('POST', `${keys(id)}/rotate`, { key: limited, body: {} })).status).toBe(403);
  });

  it('cannot carry the scope admin', async () => {
    for (const [path, body] of [
      [keys(), { name: 'root', scopes: ['admin'] }],
      ['/v1/tokens', { subject: 'root', scopes: ['admin'] }],
    ] as const) {
      expect((await service.call('POST', path, { key: service.adminKey, body })).status).toBe(400);
    }
  });
});

const base64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

const tokenFor = (ttlSeconds?: number) =>
  service.call('POST', '/v1/tokens', { key: tenant.key, body: { subject: 'ada', scopes: ['search'], ttlSeconds } });

describe('a token', () => {
  it('is refused in the same words whatever is wrong with it', async () => {
    const pem = createPublicKey(await signingKey(service)).export({ type: 'spki', format: 'pem' });
    const good = await signToken(service, tenant);
    const [header = '', payload = '', signature = ''] = good.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const now = Math.floor(Date.now() / 1000);
    const stranger = generateKeyPairSync('ed25519').privateKey;
    const sign = (alg: string, typ: string) => new SignJWT(claims).setProtectedHeader({ alg, typ });
    const bad: Record<string, string> = {
      'alg none': `${base64({ alg: 'none', typ: 'at+jwt' })}.${payload}.`,
      'alg none, signed': `${base64({ alg: 'none', typ: 'at+jwt' })}.${payload}.${signature}`,
      'HS256 with the public key': await sign('HS256', 'at+jwt').sign(Buffer.from(pem)),
      'the key of a stranger': await sign('EdDSA', 'at+jwt').sign(stranger),
      'another type': await sign('EdDSA', 'JWT').sign(await signingKey(service)),
      tampered: `${header}.${base64({ ...claims, sub: 'eve' })}.${signature}`,
      'cut short': `${header}.${payload}.${signature.slice(0, -2)}`,
      expired: await signToken(service, tenant, { exp: now - 1 }),
      'without an end': await signToken(service, tenant, { exp: undefined }),
      'not yet': await signToken(service, tenant, { nbf: now + 600 }),
      'another audience': await signToken(service, tenant, { aud: 'elsewhere' }),
      'another issuer': await signToken(service, tenant, { iss: 'elsewhere' }),
      'no text at all': 'x',
    };
    expect(await works(good)).toBe(true);
    const nobody = await enter(null);
    expect(nobody.status).toBe(401);
    for (const [what, token] of Object.entries(bad)) {
      const answer = await enter(token);
      expect([answer.status, answer.text], what).toEqual([401, nobody.text]);
    }
  });

  it('lives an hour at most, and a quarter of one when nothing is said', async () => {
    expect(await tokenFor(3601)).toMatchObject({
      status: 400,
      body: { code: 'validation_failed', errors: [{ field: 'ttlSeconds' }] },
    });
    for (const [wished, seconds] of [
      [3600, 3600],
      [undefined, 900],
    ] as const) {
      const left = Date.parse((await tokenFor(wished)).body.expiresAt) - Date.now();
      expect(Math.abs(left / 1000 - seconds)).toBeLessThan(10);
    }
  });

  it('made with a token reaches no knowledge base that its issuer does not', async () => {
    const [own, other] = [await makeBase(service, tenant.key), await makeBase(service, tenant.key)];
    const scopes = ['tokens:issue', 'search'];
    const limited = await makeToken(service, tenant.key, { scopes, knowledgeBases: [own.id] });
    for (const wish of [{}, { knowledgeBases: [own.id, other.id] }]) {
      const token = await makeToken(service, limited, { scopes: ['search'], ...wish });
      const listed = (await service.call('GET', '/v1/knowledge-bases', { key: token })).body.data;
      expect(listed.map(({ id }: { id: string }) => id)).toEqual([own.id]);
    }
  });
});

describe('the admin key', () => {
  it('acts in the tenant that X-Tenant-Id names, and a tenant that is not there is a 404', async () => {
    const { id } = await makeBase(service, tenant.key);
    const as = (name: string) =>
      service.call('GET', `/v1/knowledge-bases/${id}`, { key: service.adminKey, headers: { 'x-tenant-id': name } });
    expect((await as(tenant.id)).status).toBe(200);
    expect((await as((await makeTenant(service)).id)).status).toBe(404);
    expect((await as('ten_00000000-0000-0000-0000-000000000000')).status).toBe(404);
    expect((await as("' or 1=1")).status).toBe(404);
  });

  it("is the only caller for whom X-Tenant-Id means anything: a tenant's key stays in its own", async () => {
    const other = await makeTenant(service);
    const { id } = await makeBase(service, other.key);
    const headers = { 'x-tenant-id': other.id };
    expect((await service.call('GET', `/v1/knowledge-bases/${id}`, { key: tenant.key, headers })).status).toBe(404);
    const token = await makeToken(service, tenant.key, { scopes: everyScope });
    expect((await service.call('GET', `/v1/knowledge-bases/${id}`, { key: token, headers })).status).toBe(404);
  });
});
