// A base of filings built anew while it is asked all the time: with other chunk sizes, which copies no vector of a cut text,
// then with the sizes it had, which copies all of them. No question may fail, and each answer must be, passage by passage,
// what the version gives that it names. Ends with 1 where one is not.
// Use: npm run bench -- reindex [filing.pdf …]
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ingestThroughService } from './ingest/service.mjs';
import { pause, quantile, startForBench, timed } from './load.mjs';
import { printReport } from './report.mjs';

const samples = fileURLToPath(new URL('../../shared/data/financebench/pdfs', import.meta.url));
const files = process.argv.length > 2 ? process.argv.slice(2) : await firstFilings(6);
const questions = [
  'What was the revenue of the last fiscal year?',
  'How much was spent on research and development?',
  'What are the main risks of supply?',
  'How many employees are there?',
  'What is the effective tax rate?',
  'What dividends were paid per share?',
];
const { lane, newTenant, stop } = await startForBench();
try {
  const client = await newTenant();
  await ingestThroughService(client, files);
  const [{ id }] = (await client.get('/v1/knowledge-bases')).data;
  const base = `/v1/knowledge-bases/${id}`;
  const rows = [];
  for (const [what, chunking] of [
    ['half as large', { targetTokens: 140, maxTokens: 170 }],
    ['as they were', { targetTokens: 275, maxTokens: 325 }],
  ])
    rows.push(await once(client, base, String(what), /** @type {object} */ (chunking)));
  printReport({
    title: `A base built anew, ${lane}`,
    notes: [
      `${files.map((file) => basename(file)).join(', ')}; ${questions.length} questions, one after the other, all the time`,
    ],
    tables: [
      {
        caption: 'none may fail, none may be mixed',
        head: [
          'chunks',
          'total',
          'reused',
          'embedded',
          'seconds',
          'questions',
          'failed',
          'mixed',
          'p95 ms before',
          'p95 ms meanwhile',
        ],
        rows,
      },
    ],
    charts: [],
  });
  if (rows.some((row) => row[6] !== 0 || row[7] !== 0)) process.exitCode = 1;
} finally {
  await stop();
}

/** @param {import('../samples/demo/client.mjs').Client} client @param {string} base @param {string} what @param {object} chunking */
async function once(client, base, what, chunking) {
  const before = await standing(client, base);
  const reader = read(client, base);
  const began = performance.now();
  const { id } = await client.post(`${base}/reindex`, { pipeline: { chunking } });
  const done = await settled(client, `${base}/reindexes/${id}`);
  const seconds = (performance.now() - began) / 1000;
  await pause(1000);
  const { answers, failed, times } = await reader.end();
  if (done.status !== 'completed') throw new Error(JSON.stringify(done));
  const after = await standing(client, base);
  const right = new Map([
    [before.version, before.passages],
    [after.version, after.passages],
  ]);
  const mixed = answers.filter(({ question, version, passages }) => right.get(version)?.[question] !== passages).length;
  const { total, reused, embedded } = done.receipt.chunks;
  return [
    what,
    total,
    reused,
    embedded,
    seconds.toFixed(1),
    answers.length,
    failed,
    mixed,
    p95(before.times),
    p95(times),
  ];
}

/** @param {number[]} times */
function p95(times) {
  return quantile(times, 0.95).toFixed(0);
}

/** @param {import('../samples/demo/client.mjs').Client} client @param {string} path */
async function settled(client, path) {
  for (;;) {
    const found = await client.get(path);
    if (!['running', 'judging'].includes(found.status)) return found;
    await pause(100);
  }
}

/** What each question is answered with while nothing is going on, asked ten times. */
async function standing(/** @type {import('../samples/demo/client.mjs').Client} */ client, /** @type {string} */ base) {
  const times = [];
  const passages = [];
  let version = 0;
  for (let round = 0; round < 10; round++) {
    for (const [at, query] of questions.entries()) {
      times.push(
        await timed(async () => {
          const answer = await client.post(`${base}/search`, { query });
          version = answer.version;
          passages[at] = placesOf(answer);
        }),
      );
    }
  }
  return { version, passages, times };
}

/** Asks until it is told to end. @param {import('../samples/demo/client.mjs').Client} client @param {string} base */
function read(client, base) {
  /** @type {{ question: number, version: number, passages: string }[]} */
  const answers = [];
  /** @type {number[]} */
  const times = [];
  let failed = 0;
  const ending = new AbortController();
  const asking = (async () => {
    for (let at = 0; !ending.signal.aborted; at = (at + 1) % questions.length) {
      const took = await timed(async () => {
        try {
          const answer = await client.post(`${base}/search`, { query: questions[at] });
          answers.push({ question: at, version: answer.version, passages: placesOf(answer) });
        } catch (error) {
          failed += 1;
          console.error(String(error));
        }
      });
      times.push(took);
      await pause(10);
    }
  })();
  return {
    end: async () => {
      ending.abort();
      await asking;
      return { answers, failed, times };
    },
  };
}

/** @param {{ results: { revision: string, start: number, end: number }[] }} answer */
function placesOf({ results }) {
  return results.map(({ revision, start, end }) => `${revision} ${start}-${end}`).join('\n');
}

/** @param {number} count */
async function firstFilings(count) {
  const names = (await readdir(samples)).filter((name) => name.endsWith('.pdf')).sort();
  return names.slice(0, count).map((name) => join(samples, name));
}
