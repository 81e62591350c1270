// How good retrieval is, measured through the running service: its upload call, its search call, its ranking.
import { parseArgs } from 'node:util';
import { evaluateChunking } from './eval/chunking.mjs';
import { evaluateFinance } from './eval/financebench.mjs';
import { presentChunking, presentFinance, presentRanking } from './eval/present.mjs';
import { evaluateRanking } from './eval/ranking.mjs';
import { openService } from './eval/service.mjs';
import { printReport, writeReport } from './report.mjs';

const usage = `Measures retrieval through the service.
  npm run eval -- <folder in BEIR layout> …    nDCG@10, recall@100, MRR@10 of each mode, and plain BM25 beside them
  npm run eval -- chunking <folder>            Chroma's chunking evaluation: corpora/*.md, questions.jsonl
  npm run eval -- financebench <folder>        filings: pdfs.jsonl, pdfs/, questions.jsonl
Options:
  --mode keyword,semantic,hybrid   which modes are asked
  --limit-queries <n>              only n questions, evenly chosen
  --out <folder>                   where the JSON and the HTML report go (data/eval)
  --url http://… --key lk_…        a service that is up, instead of one on temporary data
  --base kb_…                      a base there that holds the collection already (externalId = _id)
The environment names engines and models, as for the service: DATABASE_URL, EMBEDDING_BASE_URL, …`;

const kinds = {
  chunking: { evaluate: evaluateChunking, present: presentChunking },
  financebench: { evaluate: evaluateFinance, present: presentFinance },
};
const ranking = { evaluate: evaluateRanking, present: presentRanking };
const known = ['keyword', 'semantic', 'hybrid'];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    mode: { type: 'string', default: known.join(',') },
    'limit-queries': { type: 'string' },
    out: { type: 'string', default: 'data/eval' },
    url: { type: 'string' },
    key: { type: 'string' },
    base: { type: 'string' },
    help: { type: 'boolean' },
  },
});
const kind = Object.hasOwn(kinds, positionals[0]) ? kinds[positionals[0]] : ranking;
const folders = kind === ranking ? positionals : positionals.slice(1);
const modes = values.mode.split(',');
const limit = values['limit-queries'] === undefined ? undefined : Number(values['limit-queries']);
const understood =
  folders.length > 0 &&
  modes.every((mode) => known.includes(mode)) &&
  (limit === undefined || (Number.isInteger(limit) && limit > 0)) &&
  Boolean(values.url) === Boolean(values.key) &&
  (values.base === undefined || (kind === ranking && values.url !== undefined));

if (values.help || !understood) {
  console.log(usage);
  process.exitCode = values.help ? 0 : 2;
} else {
  /** @type {(() => Promise<void>)[]} */
  const closing = [];
  const close = async () => {
    for (let undo = closing.pop(); undo; undo = closing.pop()) await undo();
  };
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void close().then(() => process.exit(130)));
  try {
    const service = await openService(values, (undo) => closing.push(undo));
    for (const folder of folders) {
      const result = await kind.evaluate(service, folder, { modes, limit, base: values.base });
      const report = kind.present(result);
      printReport(report);
      await writeReport(values.out, result.collection, result, report);
    }
  } finally {
    await close();
  }
}
