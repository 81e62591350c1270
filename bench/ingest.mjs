// How fast filings become answers, beside what somebody would build in an afternoon: LangChain.js on its own (its PDF
// loader, RecursiveCharacterTextSplitter, PGVectorStore's statement) with the same embedder and the same kind of database.
// Use: npm run bench -- ingest [filing.pdf …] [--rounds 3]. By turns in one run, so that the ratios hold on any machine.
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startEmbedder } from './ingest/embedder.mjs';
import { openLangChain } from './ingest/langchain.mjs';
import { comparedParsing } from './ingest/parsing.mjs';
import { ingestThroughService } from './ingest/service.mjs';
import { quantile, startForBench } from './load.mjs';
import { printReport, writeReport } from './report.mjs';

const samples = fileURLToPath(new URL('../../shared/data/financebench/pdfs', import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '3' }, out: { type: 'string', default: 'data/bench' } },
});
const files = positionals.length > 0 ? positionals : await firstFilings(6);
const rounds = Number(values.rounds);
const median = (/** @type {number[]} */ times) => quantile(times, 0.5);

const embedders = [
  { name: '200 ms a call of 64 texts', msPerBatch: 200, goal: 4 },
  { name: 'instant', msPerBatch: 0, goal: 1.7 },
];
const comparisons = [];
let lane = '';
for (const { name, msPerBatch, goal } of embedders) {
  const embedder = await startEmbedder(msPerBatch);
  const service = await startForBench({
    EMBEDDING_BASE_URL: embedder.url,
    EMBEDDING_MODEL: 'bench',
    EMBEDDING_API_KEY: 'none',
  });
  lane = service.lane;
  const langchain = await openLangChain(embedder.url, { atOnce: 1 });
  const eager = await openLangChain(embedder.url, { atOnce: Infinity });
  try {
    /** @type {Record<'ours' | 'alone' | 'atOnce', { ms: number, chunks: number }[]>} */
    const taken = { ours: [], alone: [], atOnce: [] };
    // Code is loaded and compiled and processes are started before the first clock is, on both sides.
    const client = await service.newTenant();
    await ingestThroughService(client, files);
    await langchain.ingest(files);
    for (let round = 0; round < rounds; round++) {
      taken.ours.push(await ingestThroughService(client, files));
      taken.alone.push(await langchain.ingest(files));
      taken.atOnce.push(await eager.ingest(files));
      const shown = Object.entries(taken).map(
        ([who, runs]) => `${who} ${((runs.at(-1)?.ms ?? 0) / 1000).toFixed(1)} s`,
      );
      console.error(`embedder ${name}, round ${round + 1}: ${shown.join(', ')}`);
    }
    const ms = (/** @type {{ ms: number }[]} */ runs) => median(runs.map((run) => run.ms));
    comparisons.push({
      embedder: name,
      goal,
      ours: ms(taken.ours),
      langchain: ms(taken.alone),
      langchainAtOnce: ms(taken.atOnce),
      ratio: ms(taken.alone) / ms(taken.ours),
      ratioAtOnce: ms(taken.atOnce) / ms(taken.ours),
      taken,
    });
  } finally {
    await langchain.close();
    await eager.close();
    await service.stop();
    await embedder.stop();
  }
}
const parsing = await comparedParsing(files, rounds);

const seconds = (/** @type {number} */ ms) => (ms / 1000).toFixed(2);
const perMinute = (/** @type {number} */ ms) => ((60_000 * files.length) / ms).toFixed(1);
const last = comparisons.at(-1)?.taken;
const result = {
  kind: 'ingest',
  at: new Date().toISOString(),
  lane,
  files: files.map((file) => basename(file)),
  comparisons,
  parsing,
};
const report = {
  title: `Ingestion of ${files.length} filings, ${lane}`,
  notes: [
    `${result.at}; medians of ${rounds} rounds, by turns; ${last?.ours[0]?.chunks} passages of ours, ${last?.alone[0]?.chunks} of LangChain's`,
    'LangChain: one file after another, calls of 64 texts; its loader and store are played by pdf-parse and the statement that PGVectorStore sends',
  ],
  tables: [
    {
      caption: 'Until everything answers',
      head: [
        'embedder',
        'Lectern s',
        'a minute',
        'LangChain, calls in turn s',
        'ratio',
        'goal',
        'LangChain, calls at once s',
        'ratio',
      ],
      rows: comparisons.map((one) => [
        one.embedder,
        seconds(one.ours),
        perMinute(one.ours),
        seconds(one.langchain),
        one.ratio.toFixed(2),
        `>= ${one.goal}: ${one.ratio >= one.goal ? 'met' : 'NOT MET'}`,
        seconds(one.langchainAtOnce),
        one.ratioAtOnce.toFixed(2),
      ]),
    },
    {
      caption: 'Reading alone, one file after another',
      head: ['file', 'Lectern s', 'pdf-parse s', 'ratio', 'goal'],
      rows: [
        ...parsing.files.map((one) => [
          one.file,
          seconds(one.ours),
          seconds(one.pdfParse),
          (one.ours / one.pdfParse).toFixed(2),
          '',
        ]),
        [
          'all',
          seconds(parsing.ours),
          seconds(parsing.pdfParse),
          parsing.ratio.toFixed(2),
          `<= 1.3: ${parsing.ratio <= 1.3 ? 'met' : 'NOT MET'}`,
        ],
      ],
    },
  ],
  charts: [],
};
printReport(report);
await writeReport(values.out, `ingest-${lane === 'embedded' ? 'embedded' : 'native'}`, result, report);

/** @param {number} count */
async function firstFilings(count) {
  const names = (await readdir(samples)).filter((name) => name.endsWith('.pdf')).toSorted();
  return names.slice(0, count).map((name) => join(samples, name));
}
