import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ReindexJobs } from '../../src/ingestion/reindex.jobs.js';
import { GateJobs } from '../../src/retrieval/gate.jobs.js';
import { byMeaning, startEmbeddingServer } from './embedding-server.js';
import { gating } from './gating.js';
import { type OwnService, startService } from './harness.js';
import { type Library, openLibrary } from './library.js';
import { leave, lexical, reindexing, trains } from './reindexing.js';
import { startRerankServer, type Verdict } from './rerank-server.js';

let model: Awaited<ReturnType<typeof startEmbeddingServer>>;
let reranker: Awaited<ReturnType<typeof startRerankServer>>;
let service: OwnService;
let library: Library;

const inOrder = ({ texts }: { texts: string[] }): Verdict => texts.map((_, at) => 1 - at / 100);
const down = () => ({ status: 500 });

beforeAll(async () => {
  [model, reranker] = [await startEmbeddingServer(), await startRerankServer('cohere', inOrder)];
  service = await startService({ env: model.env });
});
afterAll(async () => {
  await service.stop();
  for (const server of [model, reranker]) server.stop();
});

const { ask, version, newest, upToCandidate, rows, uuid } = gating(() => ({ service, library }));
const { reindex, state } = reindexing(() => ({ service, library }));
const judge = (candidate: Awaited<ReturnType<typeof upToCandidate>>) => service.part(GateJobs).judge(candidate);
/** A base that is served, with a question that nobody has asked yet. */
async function gated(pipeline?: Record<string, unknown>): Promise<void> {
  library = await openLibrary(service, { pipeline });
  await library.publish(leave);
  await library.publish(trains);
  await ask(`Is there a vacation in ${uuid()}?`, [{ externalId: 'leave' }]);
}

const tries = () =>
  rows('select judge_tries as tries from version where knowledge_base_id = $1 and number = 3', [uuid()]);

const more = { externalId: 'more', content: 'A plane is booked by the office, too.' };
const unpublishTrains = async () => {
  const { data } = await library.list('?externalId=trains');
  await library.call('POST', `/documents/${data[0].id}/unpublish`);
};

beforeEach(() => {
  [model.answer, reranker.judge] = [byMeaning, inOrder];
});

describe('a verdict', () => {
  it('is not given while neither version can be asked with its model', async () => {
    await gated();
    await library.upload(more);
    const candidate = await upToCandidate();
    model.answer = down;
    await expect(judge(candidate)).rejects.toThrow(/semantic did not take part/);
    expect(await newest()).toMatchObject({ number: 3, status: 'building', report: null });
    model.answer = byMeaning;
    await judge(candidate);
    expect(await newest()).toMatchObject({
      status: 'active',
      report: { before: 1, after: 1, degraded: { before: [], after: [] } },
    });
  });

  it('is not given while one of the two cannot', async () => {
    await gated({ embedding: { model: lexical } });
    const { id } = await reindex({ embedding: { model: 'scripted' } });
    await service.part(ReindexJobs).work();
    const candidate = await upToCandidate();
    model.answer = down;
    await expect(judge(candidate)).rejects.toThrow(/semantic did not take part/);
    expect((await state(id)).status).toBe('judging');
    model.answer = byMeaning;
    await judge(candidate);
    expect((await state(id)).status).toBe('completed');
    expect((await version(3)).report).toMatchObject({ degraded: { before: [], after: [] } });
  });

  it('does not wait for a model for ever: both are asked by keyword then, and the report says so', async () => {
    await gated();
    await library.upload(more);
    await upToCandidate();
    model.answer = down;
    await service.settle();
    expect(await newest()).toMatchObject({
      number: 3,
      status: 'active',
      report: { degraded: { before: ['semantic'], after: ['semantic'] }, blocked: false },
    });
    expect(await rows('select judge_tries from version where knowledge_base_id = $1 and number = 3', [uuid()])).toEqual(
      [{ judge_tries: 10 }],
    );
  });

  it('is against vectors of another model that nobody could try', async () => {
    // In a new process: how often the model failed is forgotten.
    await service.restart(model.env);
    await gated({ embedding: { model: lexical } });
    const { id } = await reindex({ embedding: { model: 'scripted' } });
    await service.part(ReindexJobs).work();
    model.answer = down;
    await service.settle();
    expect(await newest()).toMatchObject({
      number: 3,
      status: 'blocked',
      report: { before: 0, after: 0, reason: expect.stringContaining('could not be tried') },
    });
    expect((await state(id)).status).toBe('blocked');
    expect(await library.activeVersion()).toBe(2);
  });

  it('does not wait for a reranker for ever: both are asked without it', async () => {
    await service.restart({ ...model.env, ...reranker.env });
    await gated();
    await library.upload(more);
    const candidate = await upToCandidate();
    reranker.judge = down;
    await expect(judge(candidate)).rejects.toThrow(/rerank did not take part/);
    await service.settle();
    expect(await newest()).toMatchObject({
      status: 'active',
      report: { before: 1, degraded: { before: ['rerank'], after: ['rerank'] } },
    });
  });
});

describe('a model that will not be back', () => {
  let bases: Library[];
  beforeAll(async () => {
    model.answer = byMeaning;
    bases = [];
    for (let n = 0; n < 3; n++) {
      await gated();
      bases.push(library);
    }
    await service.restart();
  });
  beforeEach(() => {
    library = bases.pop() ?? library;
  });

  it('is waited for by nobody: what is found is what readers find', async () => {
    await unpublishTrains();
    await service.settle();
    expect(await newest()).toMatchObject({
      number: 3,
      status: 'active',
      report: { degraded: { before: ['semantic'], after: ['semantic'] } },
    });
    expect(await tries()).toEqual([{ tries: 0 }]);
  });

  it('of the version that answers does not keep another index from answering', async () => {
    const { id } = await reindex({ embedding: { model: lexical } });
    await service.settle();
    expect(await state(id)).toMatchObject({ status: 'completed', version: 3 });
    expect((await version(3)).report).toMatchObject({ degraded: { before: ['semantic'], after: [] } });
    expect(await tries()).toEqual([{ tries: 0 }]);
  });

  it('is one, too, whose vectors have another size by now', async () => {
    model.answer = (texts) => byMeaning(texts).map((vector) => [...vector, 0.1]);
    await service.restart(model.env);
    await unpublishTrains();
    await service.settle();
    expect((await version(3)).report).toMatchObject({ degraded: { before: ['semantic'], after: ['semantic'] } });
    expect(await tries()).toEqual([{ tries: 0 }]);
  });
});
