import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Base, makeBase, makeDocument, makeKey, makeTenant, makeToken, type Tenant } from './callers.js';
import { type Service, joinService } from './harness.js';

let service: Service;
let tenant: Tenant;
let base: Base;
let people: Record<'ada' | 'bob' | 'cat' | 'auditor', string>;

const documents = {
  open: {},
  hr: { access: { visibility: 'restricted', allow: ['group:hr'] } },
  cat: { access: { visibility: 'restricted', allow: ['user:cat'] } },
  hrButBob: { access: { visibility: 'restricted', allow: ['group:hr'], deny: ['user:bob'] } },
  allButHr: { access: { visibility: 'tenant', deny: ['group:hr'] } },
  noOne: { access: { visibility: 'restricted' } },
};

type Name = keyof typeof documents;

const seen: Record<keyof typeof people, Name[]> = {
  ada: ['hr', 'hrButBob', 'open'],
  bob: ['hr', 'open'],
  cat: ['allButHr', 'cat', 'open'],
  auditor: ['allButHr', 'cat', 'hr', 'hrButBob', 'noOne', 'open'],
};

const ids = new Map<Name, string>();

beforeAll(async () => {
  service = await joinService();
  tenant = await makeTenant(service);
  base = await makeBase(service, tenant.key);
  for (const [name, wish] of Object.entries(documents)) {
    const content = `The canary of annual leave is called ${name}.`;
    ids.set(name as Name, (await makeDocument(service, base, { title: name, externalId: name, content, ...wish })).id);
  }
  const reader = ['documents:read', 'search'];
  people = {
    ada: await makeToken(service, tenant.key, { subject: 'ada', groups: ['hr'], scopes: reader }),
    bob: await makeToken(service, tenant.key, { subject: 'bob', groups: ['hr'], scopes: reader }),
    cat: await makeToken(service, tenant.key, { subject: 'cat', scopes: reader }),
    auditor: await makeToken(service, tenant.key, {
      subject: 'auditor',
      groups: ['hr'],
      scopes: [...reader, 'documents:read-all'],
    }),
  };
});

afterAll(() => service.stop());

const at = (path = '') => `/v1/knowledge-bases/${base.id}${path}`;
const get = (path: string, key: string) => service.call('GET', at(path), { key });

async function found(key: string, mode = 'hybrid', topK = 50): Promise<string[]> {
  const answer = await service.call('POST', at('/search'), {
    key,
    body: { query: 'canary of annual leave', mode, topK },
  });
  return answer.body.results.map((result: { document: { externalId: string } }) => result.document.externalId).sort();
}

async function listed(key: string): Promise<string[]> {
  return (await get('/documents', key)).body.data.map((document: { externalId: string }) => document.externalId).sort();
}

const patchAccess = (name: Name, access: object) =>
  service.call('PATCH', at(`/documents/${ids.get(name)}`), { key: tenant.key, body: { access } });

describe('a restricted document', () => {
  it.each(Object.keys(seen) as (keyof typeof people)[])(
    'is there for %s exactly where a grant says so: search, list, count',
    async (who) => {
      const key = people[who];
      for (const mode of ['hybrid', 'keyword', 'semantic']) expect(await found(key, mode), mode).toEqual(seen[who]);
      expect(await listed(key)).toEqual(seen[who]);
      expect((await get('', key)).body.documents).toBe(seen[who].length);
      const bases = (await service.call('GET', '/v1/knowledge-bases', { key })).body.data;
      expect(bases.map((one: { documents: number }) => one.documents)).toEqual([seen[who].length]);
    },
  );

  it.each(Object.keys(seen) as (keyof typeof people)[])(
    'answers %s by its id like any other absent one',
    async (who) => {
      for (const [name, id] of ids) {
        for (const tail of ['', '/content', '/content?format=original', '/chunks']) {
          const { status, text } = await get(`/documents/${id}${tail}`, people[who]);
          expect(status, `${name}${tail}`).toBe(seen[who].includes(name) ? 200 : 404);
          if (status === 404) expect(text).not.toContain(name);
        }
        const byExternalId = (await get(`/documents?externalId=${name}`, people[who])).body.data;
        expect(byExternalId).toHaveLength(seen[who].includes(name) ? 1 : 0);
      }
    },
  );

  it('takes no place in a ranking: a caller who asks for k gets k of what they may see', async () => {
    expect(await found(people.ada, 'hybrid', 3)).toHaveLength(3);
    expect(await found(people.bob, 'hybrid', 2)).toEqual(seen.bob);
  });

  it('is in no page of a list, and leaves no gap in one', async () => {
    const first = await get('/documents?limit=2', people.ada);
    expect(first.body.data).toHaveLength(2);
    const second = await get(`/documents?limit=2&cursor=${first.body.nextCursor}`, people.ada);
    expect(second.body).toMatchObject({ data: [{ externalId: 'open' }], nextCursor: null });
  });
});

describe('a grant', () => {
  it('that is revoked is gone from the next search, and one that is given is there, with no new revision', async () => {
    const before = (await get(`/documents/${ids.get('hr')}`, people.ada)).body;
    await patchAccess('hr', { visibility: 'restricted', allow: [] });
    expect(await found(people.ada)).toEqual(['hrButBob', 'open']);
    expect((await get(`/documents/${ids.get('hr')}/content`, people.ada)).status).toBe(404);
    await patchAccess('hr', { visibility: 'restricted', allow: ['group:hr'] });
    expect(await found(people.ada)).toEqual(seen.ada);
    expect((await get(`/documents/${ids.get('hr')}`, people.ada)).body).toMatchObject({
      revision: before.revision,
      activeRevision: before.activeRevision,
    });
    expect((await service.call('GET', at(), { key: tenant.key })).body.activeVersion).toBe(documentsPublished());
  });

  it('is not versioned: a rollback brings text back, not access', async () => {
    const mine = await makeBase(service, tenant.key);
    const path = `/v1/knowledge-bases/${mine.id}`;
    const document = await makeDocument(service, mine, {
      externalId: 'secret',
      access: { visibility: 'restricted', allow: ['group:hr'] },
    });
    await makeDocument(service, mine, { externalId: 'secret', content: 'Everyone has 30 days of annual leave.' });
    await service.call('PATCH', `${path}/documents/${document.id}`, {
      key: tenant.key,
      body: { access: { visibility: 'restricted' } },
    });
    expect((await service.call('POST', `${path}/versions/1/activate`, { key: tenant.key })).status).toBe(200);
    const ask = (key: string) => service.call('POST', `${path}/search`, { key, body: { query: 'annual leave' } });
    expect((await ask(people.ada)).body.results).toEqual([]);
    expect((await ask(people.auditor)).body.results[0].text).toContain('27 days');
  });

  it('to a user is not one to a group of the same name', async () => {
    const asGroup = await makeToken(service, tenant.key, {
      subject: 'eve',
      groups: ['cat', 'user:cat'],
      scopes: ['search'],
    });
    expect(await found(asGroup)).toEqual(['allButHr', 'open']);
  });
});

describe('a caller', () => {
  it('with a key made for a person sees what that person sees', async () => {
    const { key } = await makeKey(service, tenant.key, {
      scopes: ['documents:read', 'search'],
      subject: 'bob',
      groups: ['hr'],
    });
    expect([await found(key), await listed(key)]).toEqual([seen.bob, seen.bob]);
  });

  it('with a key made for nobody sees only what is open to the tenant', async () => {
    const { key } = await makeKey(service, tenant.key, { scopes: ['documents:read', 'search'] });
    expect([await found(key), await listed(key)]).toEqual([
      ['allButHr', 'open'],
      ['allButHr', 'open'],
    ]);
  });

  it('limited to some knowledge bases gets for another what one gets for a base that is not there', async () => {
    const other = await makeBase(service, tenant.key);
    const limited = await makeToken(service, tenant.key, {
      scopes: ['search', 'documents:read'],
      knowledgeBases: [other.id],
    });
    const headers = { 'x-request-id': 'same' };
    for (const tail of ['', '/documents', `/documents/${ids.get('open')}`]) {
      const hidden = await service.call('GET', at(tail), { key: limited, headers });
      const absent = await service.call('GET', at(tail).replace(base.id, 'kb_00000000-0000-7000-8000-000000000000'), {
        key: limited,
        headers,
      });
      expect([hidden.status, hidden.text]).toEqual([404, absent.text]);
    }
    const search = await service.call('POST', at('/search'), { key: limited, body: { query: 'canary' } });
    expect(search.status).toBe(404);
    expect((await service.call('GET', `/v1/knowledge-bases/${other.id}`, { key: limited })).status).toBe(200);
  });

  it('who may write may not overwrite what they may not see', async () => {
    const writer = await makeToken(service, tenant.key, { subject: 'cat', scopes: ['documents:write'] });
    const body = { externalId: 'hr', content: 'overwritten' };
    expect((await service.call('POST', at('/documents'), { key: writer, body })).status).toBe(404);
    for (const [method, tail] of [
      ['PATCH', ''],
      ['DELETE', ''],
      ['POST', '/unpublish'],
      ['POST', '/retry'],
    ] as const) {
      const answer = await service.call(method, at(`/documents/${ids.get('hr')}${tail}`), {
        key: writer,
        body: method === 'PATCH' ? { title: 'x' } : undefined,
      });
      expect(answer.status, `${method} ${tail}`).toBe(404);
    }
    expect(await found(people.ada)).toEqual(seen.ada);
  });
});

/** Each document of the fixture was published on its own; access changes publish nothing. */
const documentsPublished = () => Object.keys(documents).length;
