import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const command = fileURLToPath(new URL('../../bench/eval.mjs', import.meta.url));
const lines = (rows: object[]) => rows.map((row) => JSON.stringify(row)).join('\n');

const corpus = [
  { _id: 'd1', title: 'Crossings', text: 'The ferry leaves at noon. The next ferry leaves at three.' },
  {
    _id: 'd2',
    title: 'Getting here',
    text: 'Guests come by road, over the pass, or with the ferry, which brings cars as well as bicycles to the island.',
  },
  { _id: 'd3', title: 'Sights', text: 'The lighthouse may be climbed in summer.' },
  { _id: 'd4', title: 'Opening hours', text: 'The tower on the cape is open from May to September.' },
  { _id: 'd5', title: 'Geology', text: 'The island is the rim of an old crater.' },
  { _id: 'd6', title: '', text: '' },
];
const queries = [
  { _id: 'q1', text: 'when does the ferry leave?' },
  { _id: 'q2', text: 'lighthouse' },
  { _id: 'q3', text: 'volcano' },
  { _id: 'q4', text: 'a question that nobody judged' },
];
// q1 finds d1, then d2; q2 finds d3 alone; q3 finds nothing by its word.
const qrels = [
  ['query-id', 'corpus-id', 'score'],
  ['q1', 'd2', '1'],
  ['q2', 'd3', '2'],
  ['q2', 'd4', '1'],
  ['q3', 'd5', '1'],
];
const tsv = (rows: string[][]) => rows.map((row) => row.join('\t')).join('\n');
const discount = 1 / Math.log2(3);

describe('npm run eval', () => {
  let folder: string;
  let printed: string;
  let result: any; // oxlint-disable-line typescript/no-explicit-any -- a report, checked below

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lectern-eval-'));
    await writeFile(join(folder, 'corpus.jsonl'), lines(corpus));
    await writeFile(join(folder, 'queries.jsonl'), lines(queries));
    await writeFile(join(folder, 'qrels.tsv'), tsv(qrels));
    await writeFile(join(folder, 'source_docs.tsv'), tsv([['q1', 'd1']]));
    const run = await promisify(execFile)(process.execPath, ['--liftoff-only', command, folder, '--out', folder]);
    printed = run.stdout;
    const name = folder.split('/').at(-1);
    result = JSON.parse(await readFile(join(folder, `${name}.json`), 'utf8'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const figures = (scoring: number, system: string) => {
    const { ndcg10, recall100, mrr10 } = result.scorings[scoring].systems.find(
      (one: { system: string }) => one.system === system,
    );
    return { ndcg10, recall100, mrr10 };
  };

  it('scores judged questions only, and keyword search by hand-counted figures', () => {
    expect(result.questions).toBe(3);
    expect(figures(0, 'keyword')).toEqual({
      ndcg10: expect.closeTo((discount + 2 / (2 + discount) + 0) / 3, 6),
      recall100: expect.closeTo((1 + 0.5 + 0) / 3, 6),
      mrr10: expect.closeTo((0.5 + 1 + 0) / 3, 6),
    });
    expect(figures(0, 'plain BM25')).toEqual(figures(0, 'keyword'));
  });

  it('every mode is asked, and compared with each other one over the same questions', () => {
    const { systems, comparisons } = result.scorings[0];
    expect(systems.map(({ system }: { system: string }) => system)).toEqual([
      'plain BM25',
      'keyword',
      'semantic',
      'hybrid',
    ]);
    expect(comparisons).toHaveLength(6);
    for (const { wins, losses, ties } of comparisons) expect(wins + losses + ties).toBe(3);
    // The built-in vectors rank everything, so that what no word finds is in the list.
    expect(figures(0, 'semantic').recall100).toBe(1);
  });

  it('names its convention: a question’s source document is left in the ranking, or taken out', () => {
    expect(result.scorings.map(({ convention }: { convention: string }) => convention)).toEqual([
      expect.stringContaining('stays in the ranking'),
      expect.stringContaining('taken from the rankings'),
    ]);
    expect(figures(1, 'keyword').ndcg10).toBeCloseTo((1 + 2 / (2 + discount) + 0) / 3, 6);
  });

  it('says what it left out, prints tables, and writes a page that needs nothing else', async () => {
    expect(result.corpus).toEqual({ documents: 5, withoutText: ['d6'] });
    expect(result.loading).toMatchObject({ documents: 5, failed: [] });
    expect(printed).toContain('| keyword ');
    expect(printed).toContain('Left out, since they hold no text: d6');
    const name = folder.split('/').at(-1);
    const page = await readFile(join(folder, `${name}.html`), 'utf8');
    expect(page).toContain('<svg ');
    expect(page).not.toMatch(/<script|src=|https?:\/\/(?!www\.w3\.org)/);
  });
});
