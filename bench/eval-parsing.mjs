// How well documents are read: for each format, how many of the ground truth's words come out, and in its order.
// Use: npm run eval:parsing [-- folder]; the folder holds a manifest.jsonl with {path, groundtruth} a line, the truth as
// Markdown, or as HTML in an expected_html.json. Words are compared without marks, case and punctuation.
// A markitdown_vectors.json beside it names what must and must not come out of a file. Its strings are Markdown and ours is
// text: headings, emphasis, links and cells are compared by their words, what has no words is listed as skipped, and so
// are the files of formats that are not read here. Everything goes to data/eval-parsing.json as well.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { readConfig } from '../dist/config.js';
import { ParserPool } from '../dist/ingestion/parsers/parser-pool.js';
import { compare, withoutMarks, wordsOf } from './parsing/words.mjs';
import { checkVector } from './parsing/vectors.mjs';

const folder = process.argv[2] ?? new URL('../../shared/data/parsing', import.meta.url).pathname;
const goals = { docx: 0.98, pptx: 0.98, xlsx: 0.98, html: 0.98, md: 0.98, csv: 0.98, epub: 0.98, pdf: 0.95 };

/** @type {(path: string) => Promise<any>} */
const readJson = async (path) => JSON.parse(await readFile(join(folder, path), 'utf8'));

/** @typedef {{path: string, groundtruth: string | null}} Entry */
/** @type {Entry[]} */
const entries = (await readFile(join(folder, 'manifest.jsonl'), 'utf8'))
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));

/** @param {Entry} entry @returns {Promise<string | null>} its truth, marks and all */
async function truthOf({ path, groundtruth }) {
  if (groundtruth === null) return null;
  const [collection = ''] = path.split('/');
  if (extname(groundtruth) !== '.json') return readFile(join(folder, collection, groundtruth), 'utf8');
  /** @type {{html: string, options: boolean}[]} */
  const tests = (await readJson(join(collection, groundtruth)))[basename(path)] ?? [];
  return tests.find(({ options }) => !options)?.html ?? null;
}

const pool = new ParserPool(readConfig(process.env).parser);

/** @param {string} path @returns {Promise<{text: string, end: string}>} the text, or which failure it ended with */
async function read(path) {
  try {
    const hint = { filename: basename(path), declared: null };
    const { parsed } = await pool.parse(join(folder, path), hint, { owner: 'evaluation' });
    return { text: parsed.text, end: 'text' };
  } catch (error) {
    return { text: '', end: error.code ?? String(error) };
  }
}

/** @typedef {{path: string, format: string, end: string, words: number, recall: number, order: number, missing: string[]}} Row */
/** @type {Row[]} */
const rows = [];
/** @type {{path: string, end: string, passed: number, failed: string[], skipped: string[]}[]} */
const checks = [];
const vectors = await readJson('markitdown_vectors.json').catch(() => ({}));
for (const entry of entries) {
  const truth = await truthOf(entry);
  const vector = dirname(entry.path) === 'markitdown' ? vectors[basename(entry.path)] : undefined;
  if (truth === null && !vector) continue;
  const { text, end } = await read(entry.path);
  const words = wordsOf(withoutMarks(truth ?? ''));
  const format = extname(entry.path).slice(1).replace('xlsm', 'xlsx');
  if (words.length > 0)
    rows.push({ path: entry.path, format, end, words: words.length, ...compare(words, wordsOf(text)) });
  if (vector) checks.push({ path: entry.path, end, ...checkVector(vector, text) });
}
await pool.close();

const median = (/** @type {number[]} */ values) => {
  const sorted = values.toSorted((a, b) => a - b);
  return ((sorted[Math.floor((sorted.length - 1) / 2)] ?? 0) + (sorted[Math.floor(sorted.length / 2)] ?? 0)) / 2;
};
const mean = (/** @type {number[]} */ values) => values.reduce((sum, value) => sum + value, 0) / values.length;

const table = Object.entries(goals).map(([format, goal]) => {
  const those = rows.filter((row) => row.format === format);
  const worst = those.toSorted((a, b) => a.recall - b.recall).slice(0, 3);
  return {
    format,
    files: those.length,
    median: median(those.map(({ recall }) => recall)),
    mean: mean(those.map(({ recall }) => recall)),
    goal,
    order: median(those.map(({ order }) => order)),
    worst: worst.filter(({ recall }) => recall < 1).map(({ path, recall }) => `${basename(path)} ${recall.toFixed(3)}`),
  };
});

console.log('| format | files | median recall | goal | mean | median order | worst |\n|---|---|---|---|---|---|---|');
for (const { format, files, median: middle, goal, mean: average, order, worst } of table)
  console.log(
    `| ${format} | ${files} | ${middle.toFixed(3)}${middle < goal ? ' (!)' : ''} | ${goal} | ${average.toFixed(3)} | ${order.toFixed(3)} | ${worst.join(', ')} |`,
  );

console.log('\n| markitdown vectors | reads as | as wanted | not | skipped |\n|---|---|---|---|---|');
for (const { path, end, passed, failed, skipped } of checks) {
  const unread = end === 'unsupported_type';
  console.log(
    `| ${basename(path)} | ${end} | ${unread ? '-' : passed} | ${unread ? '-' : failed.length} | ${unread ? 'all: not a format that is read' : skipped.length} |`,
  );
  if (!unread) for (const line of [...failed, ...skipped.map((skip) => `skipped: ${skip}`)]) console.log(`  ${line}`);
}

await mkdir('data', { recursive: true });
await writeFile('data/eval-parsing.json', `${JSON.stringify({ table, rows, vectors: checks }, null, 2)}\n`);
