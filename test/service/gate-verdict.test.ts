import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { IngestionJobs } from '../../src/ingestion/ingestion.jobs.js';
import { Publishing } from '../../src/ingestion/publish.js';
import { GateJobs } from '../../src/retrieval/gate.jobs.js';
import { every } from '../faults/crossings.js';
import { makeKey } from './callers.js';
import { gating, shuffled, subjects, unchanged } from './gating.js';
import { type Service, joinService } from './harness.js';
import { type Library, openLibrary } from './library.js';

let service: Service;
let library: Library;

beforeAll(async () => {
  service = await joinService();
});
afterAll(() => service.stop());
beforeEach(async () => {
  library = await openLibrary(service);
});

const gate = gating(() => ({ service, library }));
const { ask, allow, gated, syncOf, version, newest, upToCandidate, rows, uuid } = gate;
const door = { externalId: 'door', content: 'Visitors sign their names at the door.' };
const window = { externalId: 'window', content: 'The window is cleaned on Mondays.' };
const fewer = unchanged.filter(({ externalId }) => externalId !== 'travel');
const judge = (candidate: Awaited<ReturnType<typeof upToCandidate>>) => service.part(GateJobs).judge(candidate);
const active = () => library.activeVersion();
const keyOf = async (...scopes: string[]) => (await makeKey(service, service.key, { scopes })).key;

describe('the thresholds of a base', () => {
  beforeEach(gated);

  it('let a drop pass that is allowed, and keep the same one back where less is', async () => {
    await allow({ maxDrop: 1 });
    const passed = await syncOf(shuffled);
    expect(passed.status).toBe('completed');
    const { report } = await version(passed.version);
    expect(report).toMatchObject({ blocked: false, reason: null, before: 1 });
    expect(report.after).toBeLessThan(0.6);
    await library.activate(passed.version - 1);
    await allow({ maxDrop: 0.3 });
    const kept = await syncOf(shuffled);
    expect(kept.status).toBe('blocked');
    expect((await version(kept.version)).report).toMatchObject({ blocked: true, before: 1, after: report.after });
  });

  it('count what is found no more, however small the drop is', async () => {
    await allow({ maxDrop: 1, maxLost: 0 });
    const kept = await syncOf(fewer, { deleteMissing: true });
    expect(kept.status).toBe('blocked');
    const { report } = await version(kept.version);
    expect(report).toMatchObject({ lost: 1, reason: '1 questions lost what they must find, and 0 are allowed' });
    expect(report.worse).toMatchObject([{ before: 1, after: null, why: { reason: 'not_in_version' } }]);
    await allow({ maxDrop: 1, maxLost: 1 });
    expect((await syncOf(fewer, { deleteMissing: true })).status).toBe('completed');
  });
});

describe('while a candidate waits for its verdict', () => {
  beforeEach(gated);

  it('nothing else is published, and goes on after it', async () => {
    const before = await active();
    await library.upload(door);
    expect(await upToCandidate()).toMatchObject({ version: before + 1 });
    await library.upload(window);
    await service.part(IngestionJobs).ingest({ revisionId: '' });
    await service.part(Publishing).publish(uuid(), { tenantId: await gate.tenantId() });
    expect(await newest()).toMatchObject({ number: before + 1, status: 'building' });
    expect([await active(), await library.finds('cleaned Mondays')]).toEqual([
      before,
      expect.not.arrayContaining(['window']),
    ]);
    await service.settle();
    expect(await newest()).toMatchObject({ number: before + 2, parent: before + 1, status: 'active' });
    expect([await gate.firstFor('Who signs at the door?'), await gate.firstFor('cleaned Mondays')]).toEqual([
      'door',
      'window',
    ]);
  });

  it('the same bytes are on their way already', async () => {
    await library.upload(door);
    await upToCandidate();
    expect(await library.upload(door)).toMatchObject({ status: 200, body: { unchanged: true } });
  });

  it('a rollback gives back what it would have published, which is built on what answers then', async () => {
    const before = await active();
    await library.publish(window);
    await library.upload(door);
    const candidate = await upToCandidate();
    await library.activate(before);
    await service.settle();
    expect(await version(candidate.version)).toMatchObject({ status: 'retired', report: null });
    expect(await newest()).toMatchObject({ number: candidate.version + 1, parent: before, status: 'active' });
    expect(await gate.firstFor('Who signs at the door?')).toBe('door');
    expect(await library.finds('cleaned Mondays')).not.toContain('window');
  });

  it('a rollback gives back what it would have left out', async () => {
    const before = await active();
    const { id } = await library.publish(door);
    await library.publish(window);
    await library.call('POST', `/documents/${id}/unpublish`);
    const candidate = await upToCandidate();
    await library.activate(before + 1);
    await service.settle();
    expect(await newest()).toMatchObject({ parent: before + 1, status: 'active', cause: { kind: 'unpublish' } });
    expect((await version(candidate.version)).status).toBe('retired');
    expect(await library.finds('Who signs at the door?')).not.toContain('door');
  });

  it('a rollback gives a sync back its commit', async () => {
    const before = await active();
    await library.publish(window);
    const id = await gate.commit([door]);
    const candidate = await upToCandidate();
    await library.activate(before);
    await service.settle();
    expect((await version(candidate.version)).status).toBe('retired');
    expect(await gate.sync(id)).toMatchObject({ status: 'completed', version: candidate.version + 1 });
    expect(await newest()).toMatchObject({ number: candidate.version + 1, parent: before, status: 'active' });
    expect(await gate.told('sync.completed')).toHaveLength(1);
  });

  it('a rollback ends it before it is asked anything, whatever answers by the end', async () => {
    const before = await active();
    await library.upload(door);
    const candidate = await upToCandidate();
    await library.activate(before - 1);
    let asked = false;
    const stop = every('gate.judging', async () => void (asked = true));
    await judge(candidate);
    stop();
    expect(asked).toBe(false);
    await library.activate(before);
    expect(await version(candidate.version)).toMatchObject({ status: 'retired', report: null });
    await service.settle();
    expect(await newest()).toMatchObject({
      number: candidate.version + 1,
      parent: before,
      report: { against: before },
    });
  });

  it('a lost reminder is given again', async () => {
    await library.upload(door);
    const { version: number } = await upToCandidate();
    await rows(`update event set dispatched_at = now() where type = 'index.version.built' returning id`);
    await service.settle();
    expect(await version(number)).toMatchObject({ status: 'active', report: { blocked: false } });
  });
});

describe('judging', () => {
  it('takes a quarter of the places for short jobs, and who finds none has its turn later', async () => {
    const libraries = [library, await openLibrary(service), await openLibrary(service)];
    for (library of libraries) {
      await library.publish(window);
      await ask('When is the window cleaned?', [{ externalId: 'window' }]);
    }
    const candidates: Awaited<ReturnType<typeof upToCandidate>>[] = [];
    for (library of libraries) {
      await library.upload(door);
      candidates.push(await upToCandidate());
    }
    const status = async () => {
      const all = await rows<{ status: string }>(
        'select status from version where number = 2 and knowledge_base_id = any($1::uuid[])',
        [candidates.map(({ knowledgeBaseId }) => knowledgeBaseId)],
      );
      return all.map((row) => row.status).toSorted();
    };
    let release: (() => void) | undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const stop = every('gate.judging', () => held);
    const [one, two, three] = candidates.map(judge);
    await three;
    expect(await status()).toEqual(['building', 'building', 'building']);
    stop();
    release?.();
    await Promise.all([one, two]);
    expect(await status()).toEqual(['active', 'active', 'building']);
    await service.settle();
    expect(await status()).toEqual(['active', 'active', 'active']);
  });

  it('has no more than 500 questions of a base to ask', async () => {
    await rows(
      `insert into golden_question (id, tenant_id, knowledge_base_id, query, expected)
       select gen_random_uuid(), $1, $2, 'When?', '[{"externalId":"window"}]' from generate_series(1, 499) returning id`,
      [await gate.tenantId(), uuid()],
    );
    expect((await ask('When?', [{ externalId: 'door' }])).status).toBe(201);
    expect(await ask('When?', [{ externalId: 'door' }])).toMatchObject({
      status: 409,
      body: { code: 'conflict', detail: expect.stringContaining('at most 500') },
    });
  });
});

describe('what a question is about', () => {
  it('is asked, listed and read by those alone who may read everything', async () => {
    const path = `/golden-questions/${(await ask('When?', [{ passage: 'at six' }])).body.id}`;
    const key = await keyOf('versions:manage');
    const body = { query: 'Who is paid?', expected: [{ passage: 'Ada is paid' }], principal: { groups: ['hr'] } };
    for (const answer of [
      await library.call('POST', '/golden-questions', { body, key }),
      await library.call('GET', '/golden-questions', { key }),
      await library.call('GET', path, { key }),
    ])
      expect(answer).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    const both = await keyOf('versions:manage', 'documents:read-all');
    expect((await library.call('POST', '/golden-questions', { body, key: both })).status).toBe(201);
    expect((await library.call('GET', '/golden-questions', { key: both })).body.data).toHaveLength(2);
    expect((await library.call('GET', path, { key: both })).status).toBe(200);
  });

  it('is told by a report to those alone, and to others how many there are', async () => {
    await gated();
    const { version: number } = await syncOf(shuffled);
    const report = async (...scopes: string[]) => {
      const key = scopes.length > 0 ? await keyOf(...scopes) : service.key;
      const answer = await library.call('GET', `/versions/${number}`, { key });
      expect(answer.status).toBe(200);
      return { report: answer.body.report, text: answer.text };
    };
    for (const scopes of [['versions:look-back'], ['versions:manage'], ['versions:look-back', 'documents:read-all']]) {
      const seen = await report(...scopes);
      expect(seen.report).toMatchObject({ questions: 4, blocked: true, before: 1, reason: expect.any(String) });
      expect(Object.keys(seen.report)).not.toContain('worse');
      for (const [, , query] of subjects) expect(seen.text).not.toContain(query);
    }
    expect((await report('versions:manage', 'documents:read-all')).report.worse).toHaveLength(4);
    expect((await report()).report.worse).toHaveLength(4);
  });

  it('does not stand in the list of versions', async () => {
    await gated();
    const { version: number } = await syncOf(shuffled);
    const [listed] = (await library.call('GET', '/versions')).body.data;
    expect(listed).toMatchObject({ number, report: { blocked: true, questions: 4 } });
    expect(Object.keys(listed.report)).not.toContain('worse');
  });
});
