import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyScope, expire, makeKey, makeTenant, makeToken, newId, signToken } from './callers.js';
import { type Service, joinService } from './harness.js';

type Rule = 'public' | string[];
type Table = Record<string, Rule>;

const read = ['documents:read'];
const write = ['documents:write'];
const anyReader = ['bases:manage', 'documents:read', 'search', 'chat'];
const history = ['versions:manage', 'versions:look-back'];
const base = '/v1/knowledge-bases/{kb}';
const document = `${base}/documents/{id}`;

/** Which scopes open which route: any one of those listed. Written by hand, so that a slip in the code shows here. */
const table: Table = {
  'GET /health/live': 'public',
  'GET /health/ready': 'public',
  'POST /v1/tenants': ['admin'],
  'POST /v1/api-keys': ['keys:manage'],
  'GET /v1/api-keys': ['keys:manage'],
  'DELETE /v1/api-keys/{id}': ['keys:manage'],
  'POST /v1/api-keys/{id}/rotate': ['keys:manage'],
  'POST /v1/tokens': ['tokens:issue'],
  'GET /v1/events': ['webhooks:manage'],
  'POST /v1/knowledge-bases': ['bases:manage'],
  'GET /v1/knowledge-bases': anyReader,
  [`GET ${base}`]: anyReader,
  [`PATCH ${base}`]: ['bases:manage'],
  [`DELETE ${base}`]: ['bases:manage'],
  [`GET ${base}/versions`]: history,
  [`GET ${base}/versions/{number}`]: history,
  [`POST ${base}/versions/{number}/activate`]: ['versions:manage'],
  [`POST ${base}/golden-questions`]: ['versions:manage'],
  [`GET ${base}/golden-questions`]: ['versions:manage'],
  [`GET ${base}/golden-questions/{question}`]: ['versions:manage'],
  [`DELETE ${base}/golden-questions/{question}`]: ['versions:manage'],
  [`POST ${base}/reindex`]: ['versions:manage'],
  [`GET ${base}/reindexes`]: history,
  [`GET ${base}/reindexes/{reindex}`]: history,
  [`POST ${base}/reindexes/{reindex}/pause`]: ['versions:manage'],
  [`POST ${base}/reindexes/{reindex}/resume`]: ['versions:manage'],
  [`POST ${base}/reindexes/{reindex}/cancel`]: ['versions:manage'],
  [`GET ${base}/documents`]: read,
  [`POST ${base}/documents`]: write,
  [`GET ${document}`]: read,
  [`PATCH ${document}`]: write,
  [`DELETE ${document}`]: write,
  [`POST ${document}/unpublish`]: write,
  [`POST ${document}/retry`]: write,
  [`GET ${document}/chunks`]: read,
  [`GET ${document}/content`]: read,
  [`POST ${base}/syncs`]: write,
  [`GET ${base}/syncs`]: ['documents:write', 'documents:read'],
  [`GET ${base}/syncs/{sync}`]: ['documents:write', 'documents:read'],
  [`POST ${base}/syncs/{sync}/commit`]: write,
  [`POST ${base}/syncs/{sync}/abort`]: write,
  [`GET ${base}/deletions`]: ['documents:write', 'documents:read'],
  [`GET ${base}/deletions/{id}`]: ['documents:write', 'documents:read'],
  [`GET ${base}/storage`]: ['bases:manage'],
  [`POST ${base}/search`]: ['search'],
};

const webhooks: Table = Object.fromEntries(
  [
    'POST /v1/webhook-endpoints',
    'GET /v1/webhook-endpoints',
    'GET /v1/webhook-endpoints/{id}',
    'PATCH /v1/webhook-endpoints/{id}',
    'DELETE /v1/webhook-endpoints/{id}',
    'POST /v1/webhook-endpoints/{id}/test',
    'POST /v1/webhook-endpoints/{id}/rotate-secret',
    'GET /v1/webhook-deliveries',
    'GET /v1/webhook-deliveries/{id}',
    'POST /v1/webhook-deliveries/{id}/retry',
    'POST /v1/cms-sources',
    'GET /v1/cms-sources',
    'DELETE /v1/cms-sources/{id}',
  ].map((route) => [route, ['webhooks:manage']]),
);

const chat: Table = { 'POST /v1/chat': ['chat'], 'POST /v1/messages/{message}/feedback': ['chat'] };

/** Open to everybody, and then refused by its own signature. */
const hook = 'POST /v1/hooks/{sourceId}';

const routes: Table = { ...table, ...webhooks, ...chat };

interface Caller {
  credential: string | null;
  scopes: string[];
}

const readerScopes = ['documents:read', 'search', 'chat'];
let service: Service;
let callers: Record<string, Caller>;
let described: string[];

beforeAll(async () => {
  service = await joinService();
  const [own, other] = [await makeTenant(service), await makeTenant(service)];
  const expired = await makeKey(service, own.key, { scopes: everyScope });
  await expire(service, own, expired.id);
  const hr = await makeToken(service, own.key, { groups: ['hr'], scopes: readerScopes });
  const alone = await makeToken(service, own.key, { scopes: ['search'] });
  callers = {
    'the admin key': { credential: service.adminKey, scopes: ['admin', ...everyScope] },
    'a service key': { credential: (await makeKey(service, own.key, { scopes: everyScope })).key, scopes: everyScope },
    'a token with a group': { credential: hr, scopes: readerScopes },
    'a token without a group': { credential: alone, scopes: ['search'] },
    'an expired key': { credential: expired.key, scopes: [] },
    'an expired token': { credential: await signToken(service, own, { exp: 1_700_000_000 }), scopes: [] },
    "the other tenant's key": { credential: other.key, scopes: everyScope },
    nobody: { credential: null, scopes: [] },
  };
  const { paths } = (await service.call('GET', '/docs-json', { key: null })).body;
  described = Object.entries(paths as Record<string, object>).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
});

afterAll(() => service.stop());

const prefixes: [RegExp, string][] = [
  [/\{kb\}/, 'kb'],
  [/(?<=api-keys\/)\{id\}/, 'key'],
  [/(?<=(documents|deletions)\/)\{id\}/, 'doc'],
  [/(?<=endpoints\/)\{id\}/, 'whe'],
  [/(?<=deliveries\/)\{id\}/, 'del'],
  [/(?<=sources\/)\{id\}/, 'cms'],
  [/\{sourceId\}/, 'cms'],
];

/** Calls a route about things that are not there: whoever passes the guard is told so, and nothing is changed. */
function knock(route: string, credential: string | null) {
  const [method = '', path = ''] = route.split(' ');
  const named = prefixes.reduce((left, [place, prefix]) => left.replace(place, newId(prefix)), path);
  const body = method === 'GET' || method === 'DELETE' ? undefined : {};
  return service.call(method, named.replace('{number}', '1'), { key: credential, body });
}

describe('the guard', () => {
  it('knows every route that the service has, and no other', () => {
    expect(described.sort()).toEqual([...Object.keys(routes), hook].sort());
  });

  it.each(Object.entries(routes))('%s lets in those who carry %j', async (route, rule) => {
    const passed: Record<string, boolean> = {};
    const expected: Record<string, boolean> = {};
    for (const [name, { credential, scopes }] of Object.entries(callers)) {
      const { status, body } = await knock(route, credential);
      expect(status, `${name}: ${JSON.stringify(body)}`).toBeLessThan(500);
      passed[name] = status !== 401 && status !== 403;
      expected[name] = rule === 'public' || scopes.some((scope) => rule.includes(scope));
    }
    expect(passed).toEqual(expected);
  });

  it.each(Object.entries(routes).filter(([, rule]) => rule !== 'public'))(
    '%s tells who is unknown (401) from who may not (403)',
    async (route) => {
      const nobody = await knock(route, null);
      expect([nobody.status, nobody.body.code, nobody.headers.get('www-authenticate')]).toEqual([
        401,
        'unauthenticated',
        'Bearer',
      ]);
      const powerless = callers['a token without a group'];
      if (routes[route]?.includes('search')) return;
      expect(await knock(route, powerless?.credential ?? '')).toMatchObject({
        status: 403,
        body: { code: 'forbidden' },
      });
    },
  );

  it('leaves a hook to its signature: no key of any caller stands in for it', async () => {
    const answers = await Promise.all(Object.values(callers).map(({ credential }) => knock(hook, credential)));
    for (const { status, body } of answers) {
      expect([status, body.detail]).toEqual([401, 'The signature of this hook could not be verified.']);
    }
  });
});
