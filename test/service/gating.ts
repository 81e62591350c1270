import { Publishing } from '../../src/ingestion/publish.js';
import { IngestionJobs } from '../../src/ingestion/ingestion.jobs.js';
import { made } from './callers.js';
import type { Service } from './harness.js';
import type { Library } from './library.js';

export const subjects = [
  ['leave', 'Everyone has 27 days of annual leave each year.', 'How many days of annual leave are there?'],
  ['kitchen', 'The kitchen on the third floor closes at six in the evening.', 'When does the kitchen close?'],
  ['parking', 'Bicycles are kept in the cellar, and cars behind the house.', 'Where are bicycles kept?'],
  ['travel', 'Train tickets are paid back within two weeks of a journey.', 'When are train tickets paid back?'],
] as const;
export const names = subjects.map(([name]) => name).toSorted();

/** The same documents with their own texts. */
export const unchanged = subjects.map(([externalId, content]) => ({ externalId, title: externalId, content }));

/** The same documents, each with the text that stood in the next one. */
export const shuffled = unchanged.map((document, at) => ({
  ...document,
  content: unchanged[(at + 1) % unchanged.length]?.content,
}));

interface Sent {
  externalId: string;
  title?: string;
  content?: string;
}

/** A version that waits for its verdict, as its job names it. */
interface Waiting {
  knowledgeBaseId: string;
  tenantId: string;
  version: number;
}

/** What tests of the gate ask again and again, of the base that a test has at the time. */
export function gating(at: () => { service: Service; library: Library }) {
  const call: Library['call'] = (...asked) => at().library.call(...asked);
  const uuid = () => at().library.base.slice('kb_'.length);
  const rows = <T>(sql: string, parameters: unknown[] = []) =>
    at()
      .service.database()
      .asOwner((tx) => tx.rows<T>(sql, parameters));
  const tenantId = async (): Promise<string> => {
    const [base] = await rows<{ tenant_id: string }>('select tenant_id from knowledge_base where id = $1', [uuid()]);
    return base?.tenant_id ?? '';
  };
  const ask = (query: string, expected: object[], more: object = {}) =>
    call('POST', '/golden-questions', { body: { query, expected, ...more } });

  /** Carries out what was uploaded and committed up to a candidate, and judges nothing. @returns what waits then */
  const upToCandidate = async (): Promise<Waiting> => {
    const { service } = at();
    const scope = { tenantId: await tenantId() };
    const unread = `select 1 from revision where knowledge_base_id = $1 and status = 'queued'`;
    while ((await rows(unread, [uuid()])).length > 0) await service.part(IngestionJobs).ingest({ revisionId: '' });
    await service.part(Publishing).publish(uuid(), scope);
    const [waiting] = await rows<{ number: number }>(
      `select number from version where knowledge_base_id = $1 and status = 'building'`,
      [uuid()],
    );
    return { knowledgeBaseId: uuid(), ...scope, version: waiting?.number ?? -1 };
  };

  /** Uploads some documents in a sync and commits it. @returns its id */
  const commit = async (documents: Sent[], wish: { deleteMissing?: boolean } = {}): Promise<string> => {
    const { id } = (await call('POST', '/syncs')).body;
    for (const { externalId, title, content } of documents)
      await at().library.upload({ externalId, title, content, syncId: id });
    made(await call('POST', `/syncs/${id}/commit`, { body: wish }));
    return id;
  };
  const sync = async (id: string) => (await call('GET', `/syncs/${id}`)).body;

  return {
    rows,
    uuid,
    tenantId,
    ask,
    commit,
    sync,
    upToCandidate,
    /** A base that is served, with a question for each of its documents. */
    gated: async (): Promise<void> => {
      for (const document of unchanged) await at().library.upload(document);
      await at().service.settle();
      for (const [externalId, , query] of subjects) made(await ask(query, [{ externalId }]));
    },
    /** The same to its end. @returns the sync as it then stands */
    syncOf: async (documents: Sent[], wish: { deleteMissing?: boolean } = {}) => {
      const id = await commit(documents, wish);
      await at().service.settle();
      return sync(id);
    },
    version: async (number: number) => (await call('GET', `/versions/${number}`)).body,
    /** The newest version, whatever became of it. */
    newest: async () => (await call('GET', '/versions?limit=1')).body.data[0],
    allow: async (gate: object) => made(await call('PATCH', '', { body: { gate } })),
    force: (number: number) => call('POST', `/versions/${number}/activate`, { body: { force: true } }),
    firstFor: async (query: string) => (await at().library.finds(query))[0],
    /** What was told of the base, by type of event, newest first. */
    told: async (type: string) =>
      (await at().service.call('GET', '/v1/events?limit=100')).body.data.filter(
        (event: { type: string; data: { knowledgeBaseId?: string } }) =>
          event.type === type && event.data.knowledgeBaseId === at().library.base,
      ),
  };
}
