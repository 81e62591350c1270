// How a folder of hard files ends: for each category text or which failure, the slowest, the largest memory.
// Use: npm run hostile [-- folder]; the folder holds a manifest.jsonl with {category, path} a line.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readConfig } from '../dist/config.js';
import { ParserPool } from '../dist/ingestion/parsers/parser-pool.js';

const folder = process.argv[2] ?? new URL('../../shared/data/hostile', import.meta.url).pathname;
/** @type {{category: string, path: string}[]} */
const files = (await readFile(join(folder, 'manifest.jsonl'), 'utf8'))
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));

/** @typedef {{category: string, path: string, end: string, ms: number, peakMb: number}} Row */
/** @type {Row[]} */
const rows = [];
// One file a process: a peak is then of that file alone.
const pool = new ParserPool({ ...readConfig(process.env).parser, reuse: 1 });
for (const { category, path } of files) {
  const started = performance.now();
  const name = path.split('/').at(-1) ?? path;
  let peakMb = 0;
  const options = { owner: 'hostile', onPeak: (/** @type {number} */ peak) => void (peakMb = peak) };
  const end = await pool.parse(join(folder, path), { filename: name, declared: null }, options).then(
    () => 'text',
    (error) => error.code ?? String(error),
  );
  rows.push({ category, path, end, ms: performance.now() - started, peakMb });
}
await pool.close();

/** @param {Row[]} part @param {string} name */
function tableLine(part, name) {
  /** @type {Record<string, number>} */
  const ends = {};
  for (const { end } of part) ends[end] = (ends[end] ?? 0) + 1;
  const { text = 0, ...failed } = ends;
  const slowest = Math.max(...part.map(({ ms }) => ms));
  const largest = Math.max(...part.map(({ peakMb }) => peakMb));
  const codes = Object.entries(failed)
    .toSorted()
    .map(([code, count]) => `${count} ${code}`);
  return `| ${name} | ${part.length} | ${text} | ${codes.join(', ')} | ${(slowest / 1000).toFixed(1)} s | ${largest} MiB |`;
}

console.log('| category | files | text | failures | slowest | largest memory |\n|---|---|---|---|---|---|');
for (const category of new Set(files.map((file) => file.category)))
  console.log(
    tableLine(
      rows.filter((row) => row.category === category),
      category,
    ),
  );
console.log(tableLine(rows, '**all**'));
