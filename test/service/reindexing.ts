import { setTimeout as pause } from 'node:timers/promises';
import { every } from '../faults/crossings.js';
import { made } from './callers.js';
import type { Service } from './harness.js';
import type { Library } from './library.js';

/** The built-in model, which a service with a configured one can embed with too. */
export const lexical = 'lectern-lexical-384';

export const leave = { externalId: 'leave', content: 'Every employee has 27 days of annual leave.' };
export const trains = { externalId: 'trains', content: 'A railway ticket is booked by the office.' };
const words = (about: string) => Array.from({ length: 60 }, (_, n) => `${about} ${n}.`).join(' ');
export const long = { externalId: 'long', content: `# Holidays\n\n${words('Item')}\n\n## Wages\n\n${words('Salary')}` };

/** Does something when so many revisions are built, in the middle of the reindex. */
export function afterBuilding(count: number, deed: () => Promise<unknown>): void {
  let built = 0;
  const stop = every('reindex.revision-built', async () => {
    if (++built < count) return;
    stop();
    await deed();
  });
}

/** What tests of reindexes ask again and again, of the base that a test has at the time. */
export function reindexing(at: () => { service: Service; library: Library }) {
  const call: Library['call'] = (...asked) => at().library.call(...asked);
  const rows = <T>(sql: string, parameters: unknown[] = []) =>
    at()
      .service.database()
      .asOwner((tx) => tx.rows<T>(sql, parameters));
  const uuid = () => at().library.base.slice('kb_'.length);

  /**
   * Asks the same without a pause until told to stop. Which index a passage is from is told by where it begins and ends,
   * so what is asked about is to be cut in another way in each. @returns what was wrong with any answer, and which versions answered
   */
  const poll = (query: string) => {
    const seen = { stopped: false, failures: [] as string[], versions: new Set<number>(), answers: 0 };
    const asked = new Map<number, Set<string>>();
    const read = async () => {
      while (!seen.stopped) {
        await pause(20);
        const { status, body } = await call('POST', '/search', { body: { query, topK: 20 } });
        seen.answers += 1;
        if (status !== 200 || body.degraded.length > 0 || body.results.length === 0) {
          seen.failures.push(`${status}: ${JSON.stringify(body).slice(0, 300)}`);
          continue;
        }
        seen.versions.add(body.version);
        const texts = asked.get(body.version) ?? new Set();
        for (const { document, start, end, text } of body.results)
          texts.add(`${document.id.slice(4)} ${start}-${end} ${text}`);
        asked.set(body.version, texts);
      }
    };
    // Several: each holds one table while it waits for another.
    const reading = Promise.all([read(), read()]);
    return async () => {
      seen.stopped = true;
      await reading;
      for (const [number, texts] of asked) {
        const shown = await rows<{ row: string }>(
          `select c.document_id || ' ' || c.start_offset || '-' || c.end_offset || ' ' || c.text as row from version v join chunk c on c.index_id = v.index_id and c.visible @> v.number
           where v.knowledge_base_id = $1 and v.number = $2`,
          [uuid(), number],
        );
        // Of a document deleted since nothing is left to compare with.
        const deleted = await rows<{ id: string }>(
          'select id from document where knowledge_base_id = $1 and deleted_at is not null',
          [uuid()],
        );
        for (const text of texts) if (deleted.some(({ id }) => text.startsWith(id))) texts.delete(text);
        const all = new Set(shown.map(({ row }) => row));
        for (const text of texts) if (!all.has(text)) seen.failures.push(`version ${number} does not show: ${text}`);
      }
      return seen;
    };
  };

  return {
    rows,
    uuid,
    poll,
    reindex: async (pipeline: object) => made(await call('POST', '/reindex', { body: { pipeline } })),
    state: async (id: string) => (await call('GET', `/reindexes/${id}`)).body,
    version: async (number: number) => (await call('GET', `/versions/${number}`)).body,
    pipeline: async () => (await call('GET', '')).body.pipeline,
    /** What was told of the base, by type of event, newest first. */
    events: async (type: string) =>
      (await at().service.call('GET', '/v1/events?limit=50')).body.data
        .filter((event: { type: string; data: { knowledgeBaseId: string } }) => event.type === type)
        .map((event: { data: object }) => event.data)
        .filter((data: { knowledgeBaseId: string }) => data.knowledgeBaseId === at().library.base),
    /** How many passages stand at the same place in two indexes: by these nobody can tell one from the other. */
    alike: async () => {
      const [found] = await rows<{ alike: number }>(
        `select count(*)::int as alike from chunk a join chunk b on b.revision_id = a.revision_id
           and b.start_offset = a.start_offset and b.end_offset = a.end_offset and b.index_id > a.index_id
         where a.index_id in (select id from knowledge_index where knowledge_base_id = $1)`,
        [uuid()],
      );
      return found?.alike;
    },
    indexes: () =>
      rows<{ id: number; dimensions: number }>(
        'select id, dimensions from knowledge_index where knowledge_base_id = $1 order by id',
        [uuid()],
      ),
    /** Lets a reindex that waits after a failure go on at once. */
    waitIsOver: () =>
      rows('update reindex set lease_expires_at = now() where knowledge_base_id = $1 returning id', [uuid()]),
  };
}
