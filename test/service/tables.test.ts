import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startChatModel, type Turn } from './chat-model.js';
import { startEmbeddingServer } from './embedding-server.js';
import { type Service, startService } from './harness.js';
import { type Library, openLibrary } from './library.js';

interface Found {
  document: { id: string; externalId: string };
  revision: string;
  text: string;
  lead: string | null;
  start: number;
  end: number;
}

const header = ['Vessel', 'Berth', 'Draught in metres', 'Harbour master'];
const rows = Array.from({ length: 150 }, (_, row) => [
  `Vessel${row}`,
  `Quay ${row % 7}`,
  `${3 + (row % 9)}.5`,
  `Captain Number${row}`,
]);
const csv = (...lines: string[][]): string => lines.map((cells) => cells.join(',')).join('\n');
const markdown = (...lines: string[][]): string => lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');

let service: Service;
let library: Library;
let embeddings: Awaited<ReturnType<typeof startEmbeddingServer>>;
let chatModel: Awaited<ReturnType<typeof startChatModel>>;
let turn: Turn;

beforeAll(async () => {
  embeddings = await startEmbeddingServer();
  chatModel = await startChatModel(() => turn);
  service = await startService({ env: { ...embeddings.env, ...chatModel.env } });
  library = await openLibrary(service);
  await library.uploadFile({ bytes: csv(header, ...rows), name: 'a.csv', fields: { externalId: 'csv' } });
  const dashes = header.map(() => '---');
  await library.upload({
    externalId: 'markdown',
    title: 'Yachts',
    content: `# Marina\n\nTable 2: Yachts in winter\n\n${markdown(header, dashes, ...rows.map(([name, ...more]) => [`Y${name}`, ...more]))}`,
  });
  await service.settle();
});
afterAll(async () => {
  await service.stop();
  embeddings.stop();
  chatModel.stop();
});

const first = async (query: string): Promise<Found> => (await library.search(query, { mode: 'keyword' })).results[0];

const receiptOf = async (externalId: string) =>
  (await library.get((await library.list(`?externalId=${externalId}`)).data[0].id)).receipt.chunks;

describe('a row far below its table’s header', () => {
  it.each([
    ['csv', 'Vessel131', header.join(' | ')],
    ['markdown', 'YVessel131', `Table 2: Yachts in winter\n${header.join(' | ')}`],
  ])('is found by the name of a column, which stands beside the text and not in it: %s', async (id, name, lead) => {
    const found = await first(`harbour master and draught of ${name}`);
    expect(found).toMatchObject({ document: { externalId: id }, lead });
    expect(found.text).toContain(name);
    expect(found.text).not.toContain('Harbour master');
    const { text } = (await library.call('GET', `/documents/${found.document.id}/content`)).body;
    expect(text.slice(found.start, found.end)).toBe(found.text);
    expect(embeddings.asked.flat().some((asked) => asked.includes(`${lead}\n${found.text}`))).toBe(true);
    const { data } = (await library.call('GET', `/documents/${found.document.id}/chunks`)).body;
    expect(data.map((chunk: Found) => chunk.lead)).toEqual([null, ...data.slice(1).map(() => lead)]);
  });

  it('is found by the name of a column alone', async () => {
    const { results } = await library.search('draught', { mode: 'keyword', topK: 100 });
    const chunks = await Promise.all(['csv', 'markdown'].map(receiptOf));
    expect(results.length).toBe(chunks.reduce((sum, { total }) => sum + total, 0));
  });

  it('is handed to the chat model with the header, and quoted without', async () => {
    turn = { say: 'Captain Number131 is the harbour master [1].' };
    const body = { knowledgeBases: [library.base], message: 'Who is the harbour master of Vessel131?' };
    const answer = (await service.call('POST', '/v1/chat', { body })).body;
    expect(chatModel.heard.at(-1)?.messages.at(-1)?.content).toContain(`"tableHeader":"${header.join(' | ')}"`);
    expect(answer).toMatchObject({ mode: 'generated', citations: [{ quote: rows[131]?.join(' | ') }] });
  });

  it('is the answer when there is no chat model, and not taken for a header', async () => {
    turn = { status: 500 };
    const body = { knowledgeBases: [library.base], message: 'Who is the harbour master of Vessel131?' };
    const answer = (await service.call('POST', '/v1/chat', { body })).body;
    expect(answer).toMatchObject({ mode: 'extractive', outcome: 'answered' });
    expect(answer.answer).toContain('Captain Number131');
  });

  it('keeps its vector when a row is added at the end, and needs a new one when the header changes', async () => {
    const { total } = await receiptOf('csv');
    const longer = csv(header, ...rows, ['Last', 'Quay 1', '2.5', 'Captain Last']);
    await library.uploadFile({ bytes: longer, name: 'a.csv', fields: { externalId: 'csv' } });
    await service.settle();
    expect(await receiptOf('csv')).toMatchObject({ reused: total - 1, embedded: 1 });
    const renamed = csv(['Vessel', 'Berth', 'Depth in metres', 'Harbour master'], ...rows);
    await library.uploadFile({ bytes: renamed, name: 'a.csv', fields: { externalId: 'csv' } });
    await service.settle();
    expect(await receiptOf('csv')).toMatchObject({ reused: 0 });
    expect((await first('depth of Vessel131')).text).toContain('Vessel131');
  });

  it('is found by the name of a column after its postings were made anew', async () => {
    await service.database().asOwner((tx) => tx.run('delete from segment'));
    await service.settle();
    expect((await first('depth of Vessel131')).text).toContain('Vessel131');
    expect((await library.search('depth', { mode: 'keyword' })).results.length).toBeGreaterThan(1);
  });
});
