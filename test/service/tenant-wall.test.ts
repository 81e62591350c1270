import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Base,
  everyScope,
  made,
  makeBase,
  makeDocument,
  makeKey,
  makeTenant,
  newId,
  type Tenant,
} from './callers.js';
import { type Answer, type Service, joinService } from './harness.js';

type Ids = Record<
  'kb' | 'doc' | 'rev' | 'key' | 'whe' | 'del' | 'cms' | 'conv' | 'sync' | 'gq' | 'msg' | 'rix' | 'gone',
  string
>;

let service: Service;
let own: Tenant;
let other: Tenant;
/** A base of the caller's own tenant, and one of everything in the other tenant. */
let ownBase: Base;
let foreign: Ids;
let routes: string[];

beforeAll(async () => {
  service = await joinService();
  [own, other] = [await makeTenant(service), await makeTenant(service)];
  ownBase = await makeBase(service, own.key);
  await makeDocument(service, ownBase);
  foreign = await oneOfEverything(other);
  const { paths } = (await service.call('GET', '/docs-json', { key: null })).body;
  routes = Object.entries(paths as Record<string, object>)
    .filter(([path]) => path.includes('{') && !path.startsWith('/v1/hooks'))
    .flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
});

afterAll(() => service.stop());

async function oneOfEverything({ key }: Tenant): Promise<Ids> {
  const create = async (path: string, body?: object): Promise<Answer['body']> =>
    made(await service.call('POST', path, { key, body }));
  const base = await makeBase(service, key);
  const document = await makeDocument(service, base, { externalId: 'leave' });
  const endpoint = await create('/v1/webhook-endpoints', { url: 'http://127.0.0.1:9/', events: ['*'] });
  const delivery = await create(`/v1/webhook-endpoints/${endpoint.id}/test`);
  const source = await create('/v1/cms-sources', { knowledgeBaseId: base.id });
  const answer = await create('/v1/chat', { knowledgeBases: [base.id], message: 'How many days of annual leave?' });
  const apiKey = await makeKey(service, key, { scopes: ['search'] });
  const gone = await makeDocument(service, base, { externalId: 'gone' });
  await service.call('DELETE', `/v1/knowledge-bases/${base.id}/documents/${gone.id}`, { key });
  const sync = await create(`/v1/knowledge-bases/${base.id}/syncs`);
  const question = await create(`/v1/knowledge-bases/${base.id}/golden-questions`, golden);
  const reindex = await create(`/v1/knowledge-bases/${base.id}/reindex`, { pipeline: { language: 'de' } });
  return {
    kb: base.id,
    doc: document.id,
    rev: document.revision.id,
    key: apiKey.id,
    whe: endpoint.id,
    del: delivery.id,
    cms: source.id,
    conv: answer.conversationId,
    sync: sync.id,
    gq: question.id,
    msg: answer.messageId,
    rix: reindex.id,
    gone: gone.id,
  };
}

const randomIds = (): Ids => ({
  kb: newId('kb'),
  doc: newId('doc'),
  rev: newId('rev'),
  key: newId('key'),
  whe: newId('whe'),
  del: newId('del'),
  cms: newId('cms'),
  conv: newId('conv'),
  sync: newId('sync'),
  gq: newId('gq'),
  msg: newId('msg'),
  rix: newId('rix'),
  gone: newId('doc'),
});

const golden = { query: 'How many days of leave?', expected: [{ externalId: 'leave' }] };

const bodies: [RegExp, object][] = [
  [/^POST .*golden-questions$/, golden],
  [/^POST .*feedback$/, { rating: 'negative' }],
  [/^PATCH .*\{kb\}$/, { name: 'mine now' }],
  [/^PATCH .*documents/, { title: 'mine now' }],
  [/^PATCH .*endpoints/, { enabled: false }],
  [/^POST .*documents$/, { content: 'mine now' }],
  [/^POST .*search$/, { query: 'leave' }],
  [/^POST .*(rotate|commit|reindex)$/, {}],
];

const kinds: [string, keyof Ids][] = [
  ['documents/', 'doc'],
  ['deletions/', 'gone'],
  ['api-keys/', 'key'],
  ['endpoints/', 'whe'],
  ['deliveries/', 'del'],
  ['sources/', 'cms'],
];

/** Calls a route about these things; the request id is fixed, so that answers can be compared. */
function about(route: string, ids: Ids, key: string): Promise<Answer> {
  const [method = '', path = ''] = route.split(' ');
  const named = kinds.reduce((left, [place, kind]) => left.replace(`${place}{id}`, `${place}${ids[kind]}`), path);
  const url = named
    .replace('{kb}', ids.kb)
    .replace('{number}', '1')
    .replace('{sync}', ids.sync)
    .replace('{question}', ids.gq)
    .replace('{message}', ids.msg)
    .replace('{reindex}', ids.rix);
  const body = bodies.find(([pattern]) => pattern.test(route))?.[1];
  return service.call(method, url, { key, body, headers: { 'x-request-id': 'same' } });
}

/** Everything of an answer that its caller could tell two cases apart by. */
function whole({ status, text, headers }: Answer) {
  return { status, text, headers: [...headers].filter(([name]) => name !== 'date') };
}

async function differences(calls: Record<string, (ids: Ids) => Promise<Answer>>, known: Ids): Promise<string[]> {
  const found: string[] = [];
  for (const [name, ask] of Object.entries(calls)) {
    const [there, absent] = [
      whole(await ask(known)),
      whole(await ask({ ...randomIds(), ...(known.kb === foreign.kb ? {} : { kb: known.kb }) })),
    ];
    if (there.status !== 404 || JSON.stringify(there) !== JSON.stringify(absent))
      found.push(`${name}: ${there.text} ${absent.text}`);
  }
  return found;
}

const callsOf = (chosen: string[]) =>
  Object.fromEntries(chosen.map((route) => [route, (ids: Ids) => about(route, ids, own.key)]));

/** A hook without a signature. */
const hook = (id: string) =>
  service.call('POST', `/v1/hooks/${id}`, { key: null, body: {}, headers: { 'x-request-id': 'same' } });

/** What ends something comes last: a sync's commit before its abort, a pause before resuming and cancelling, deletes of documents before those of their bases. */
const order = (route: string) =>
  route.startsWith('DELETE')
    ? 1000 - route.length
    : ['/commit', '/abort', '/pause', '/resume', '/cancel'].findIndex((end) => route.endsWith(end)) + 1;

describe('what belongs to the other tenant', () => {
  it('answers every route that names an id like a thing that is nowhere, byte for byte', async () => {
    expect(routes.length).toBeGreaterThan(20);
    expect(await differences(callsOf(routes), foreign)).toEqual([]);
  });

  it('is not reached through a knowledge base of one’s own, either', async () => {
    const inBase = routes.filter((route) =>
      /\/(documents|deletions)\/\{id\}|\{sync\}|\{question\}|\{reindex\}/.test(route),
    );
    expect(inBase.length).toBeGreaterThan(5);
    expect(await differences(callsOf(inBase), { ...foreign, kb: ownBase.id })).toEqual([]);
  });

  it('is not reached by an id in a body or a query', async () => {
    const ask = (method: string, path: string, body?: object) =>
      service.call(method, path, { key: own.key, body, headers: { 'x-request-id': 'same' } });
    const document = (await service.call('GET', `/v1/knowledge-bases/${ownBase.id}/documents`, { key: own.key })).body
      .data[0];
    const calls = {
      chat: ({ kb }: Ids) => ask('POST', '/v1/chat', { knowledgeBases: [kb], message: 'leave' }),
      'chat beside a base of one’s own': ({ kb }: Ids) =>
        ask('POST', '/v1/chat', { knowledgeBases: [ownBase.id, kb], message: 'leave' }),
      conversation: ({ conv }: Ids) =>
        ask('POST', '/v1/chat', { knowledgeBases: [ownBase.id], message: 'leave', conversationId: conv }),
      source: ({ kb }: Ids) => ask('POST', '/v1/cms-sources', { knowledgeBaseId: kb }),
      revision: ({ rev }: Ids) =>
        ask('GET', `/v1/knowledge-bases/${ownBase.id}/documents/${document.id}/content?revision=${rev}`),
    };
    expect(await differences(calls, foreign)).toEqual([]);
    const deliveries = await ask('GET', `/v1/webhook-deliveries?endpointId=${foreign.whe}`);
    expect(whole(deliveries)).toEqual(whole(await ask('GET', `/v1/webhook-deliveries?endpointId=${newId('whe')}`)));
  });

  it('tells an unsigned hook nothing of which sources there are', async () => {
    expect(whole(await hook(foreign.cms))).toEqual(whole(await hook(newId('cms'))));
  });

  it('takes no name away: the same names and external ids are free in every tenant', async () => {
    const wish = { name: 'the same name' };
    for (const { key } of [own, other]) {
      const base = made(await service.call('POST', '/v1/knowledge-bases', { key, body: wish }));
      expect((await makeDocument(service, { id: base.id, key }, { externalId: 'leave' })).unchanged).toBe(false);
    }
  });

  it('is in none of the lists', async () => {
    const lists = [
      '/v1/knowledge-bases',
      '/v1/api-keys',
      '/v1/webhook-endpoints',
      '/v1/webhook-deliveries',
      '/v1/cms-sources',
      '/v1/events',
    ];
    for (const path of lists) {
      const { text, status } = await service.call('GET', `${path}?limit=200`, { key: own.key });
      expect(status, path).toBe(200);
      for (const id of Object.values(foreign)) expect(text, path).not.toContain(id);
    }
  });

  // The last one: it deletes what the others ask for.
  it('is found by its owner with the very same calls', async () => {
    for (const route of [...routes].sort((a, b) => order(a) - order(b))) {
      const { status, text } = await about(route, foreign, other.key);
      expect([404, 401, 403, 400, 500], `${route} ${text}`).not.toContain(status);
    }
  });
});

it('the key of a tenant carries every scope but admin: nothing above was refused for lack of one', async () => {
  const keys = (await service.call('GET', '/v1/api-keys?limit=200', { key: own.key })).body.data;
  expect(new Set(keys.at(-1).scopes)).toEqual(new Set(everyScope));
});
