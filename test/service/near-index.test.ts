import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { made } from './callers.js';
import { startEmbeddingServer } from './embedding-server.js';
import { type Service, startService } from './harness.js';
import { type Library, openLibrary } from './library.js';

const words =
  'archive badge board branch bridge budget cable carrier clause coffee corner council courier delay deposit desk draft driver engine entry fabric filter flight folder garage ground handle harbor invoice kitchen'.split(
    ' ',
  );

/** Paragraphs that look drawn by chance, each about a chunk long, and are the same in every run. */
function paragraphs(count: number, seed: number): string {
  let state = seed;
  const roll = () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) % words.length;
  const paragraph = () =>
    Array.from({ length: 160 }, () => words[Math.floor((roll() * roll()) / words.length)]).join(' ');
  return Array.from({ length: count }, paragraph).join('\n\n');
}

/** One number a word: how often the text has it, so that near is what has the same words. */
const vectorOf = (text: string): number[] => {
  const counts = words.map((word) => 0.01 + text.split(word).length - 1);
  return [...counts, ...Array.from({ length: 384 - counts.length }, () => 0)];
};

interface Found {
  document: { externalId: string };
  start: number;
}

// The embedded engine compares all vectors, however many: building the graph would leave its only session to nothing else.
describe.skipIf(!process.env['DATABASE_URL'])('an index of many vectors', () => {
  let service: Service;
  let library: Library;
  let model: Awaited<ReturnType<typeof startEmbeddingServer>>;

  beforeAll(async () => {
    model = await startEmbeddingServer((texts) => texts.map(vectorOf));
    service = await startService({ env: { ...model.env, VECTOR_INDEX_FROM: '100' } });
    library = await openLibrary(service);
    for (const [at, name] of ['one', 'two', 'three'].entries()) {
      await library.upload({ externalId: name, title: name, content: paragraphs(60, at + 1) });
    }
    await library.upload({
      externalId: 'four',
      title: 'four',
      content: paragraphs(2, 9),
      access: { visibility: 'restricted', allow: ['group:few'] },
    });
    await service.settle();
  });
  afterAll(async () => {
    await service.stop();
    model.stop();
  });

  const graphs = () =>
    service.database().asOwner((tx) =>
      tx.rows(
        `select c.relname from pg_index i join pg_class c on c.oid = i.indexrelid join knowledge_index k on c.relname = 'chunk_vector_' || k.id || '_near'
           where i.indisvalid and k.near_since is not null`,
      ),
    );

  /** Of every passage of these documents, how far it is from the question; nearest first. */
  const exact = async (question: string, names: string[]) => {
    const rows = await service.database().asOwner((tx) =>
      tx.rows<{ name: string; start: number; distance: number }>(
        `select d.external_id as name, c.start_offset as start, v.embedding <=> $1::vector as distance
         from chunk_vector v join chunk c on c.index_id = v.index_id and c.id = v.chunk_id join document d on d.id = c.document_id
         where d.external_id = any($2) order by distance`,
        [`[${vectorOf(question).join()}]`, names],
      ),
    );
    return new Map(rows.map(({ name, start, distance }) => [`${name} ${start}`, distance]));
  };

  const found = async (question: string, key: string) => {
    const { body } = await service.call('POST', `/v1/knowledge-bases/${library.base}/search`, {
      key,
      body: { query: question, mode: 'semantic', topK: 10, rank: { dropDuplicates: false, perDocument: 0 } },
    });
    return (body.results as Found[]).map(({ document, start }) => `${document.externalId} ${start}`);
  };

  const callerOf = async (groups: string[]) =>
    made(
      await service.call('POST', '/v1/tokens', {
        body: { subject: 'ada', groups, scopes: ['search'], ttlSeconds: 600 },
      }),
    ).token as string;

  it('gets a graph, once', async () => {
    expect(await graphs()).toHaveLength(1);
    await service.settle();
    expect(await graphs()).toHaveLength(1);
  });

  it('finds with it what comparing all finds, and shows a caller what is permitted alone', async () => {
    const questions = [
      'a budget for the bridge',
      'courier delay at the harbor',
      'coffee in the kitchen',
      'garage entry badge',
    ];
    for (const [groups, names] of [
      [[], ['one', 'two', 'three']],
      [['few'], ['one', 'two', 'three', 'four']],
    ] as const) {
      const key = await callerOf([...groups]);
      let same = 0;
      for (const question of questions) {
        const distances = await exact(question, [...names]);
        const tenth = [...distances.values()][9] ?? 0;
        const seen = await found(question, key);
        expect(seen).toHaveLength(10);
        // Some are equally far.
        same += seen.filter((passage) => (distances.get(passage) ?? Infinity) <= tenth + 1e-6).length;
      }
      expect(same / (10 * questions.length)).toBeGreaterThanOrEqual(0.95);
    }
  });
});
