// How the cost of a search grows with what there is to search: one base that is measured at 10,000 and 100,000 passages,
// and with --million at 1,000,000 (an hour of loading: not for CI). A plot with both axes logarithmic.
// Use: npm run bench -- scale [--sizes 10000,100000] [--million] [--questions 60]
import { parseArgs } from 'node:util';
import { logLogChart } from './chart.mjs';
import { evenly } from './eval/collection.mjs';
import { printReport, writeReport } from './report.mjs';
import { copyForLangChain, measureSearch, standing } from './search/measure.mjs';
import { openStage } from './search/stage.mjs';

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '10000,100000' },
    million: { type: 'boolean' },
    questions: { type: 'string', default: '60' },
    out: { type: 'string', default: 'data/bench' },
  },
});
const sizes = [...values.sizes.split(',').map(Number), ...(values.million ? [1_000_000] : [])];
const names = {
  keyword: '/search, keyword',
  semantic: '/search, semantic',
  hybrid: '/search, hybrid',
  postings: 'bare posting lists',
  langchain: 'LangChain, dense, unfiltered',
};
const stage = await openStage();
try {
  const questions = evenly(stage.questions, Number(values.questions));
  const points = [];
  for (const size of sizes) {
    const loadingMs = await stage.grow(size);
    await copyForLangChain(stage, (await standing(stage)).indexId);
    const times = await measureSearch(stage, questions, 'half');
    points.push({ passages: stage.passages(), loadingMs, times });
    console.error(`${stage.passages()} passages: hybrid p50 ${times.hybrid.p50.toFixed(1)} ms`);
  }
  const result = { kind: 'scale', at: new Date().toISOString(), lane: stage.lane, questions: questions.length, points };
  const title = `Cost of a search, ${stage.lane}`;
  const series = Object.entries(names).map(([what, name]) => ({
    name,
    points: points.map(({ passages, times }) => /** @type {[number, number]} */ ([passages, times[what].p50])),
  }));
  const report = {
    title,
    notes: [`${result.at}; the caller sees half; ${questions.length} real questions, one at a time`],
    tables: [
      {
        caption: 'p50 and p95 in ms',
        head: ['what', ...points.map(({ passages }) => passages.toLocaleString('en'))],
        rows: Object.entries(names).map(([what, name]) => [
          name,
          ...points.map(({ times }) => `${times[what].p50.toFixed(1)} / ${times[what].p95.toFixed(1)}`),
        ]),
      },
    ],
    charts: [logLogChart(`${title}: p50`, { x: 'passages', y: 'ms' }, series)],
  };
  printReport(report);
  await writeReport(values.out, `scale-${stage.lane === 'embedded' ? 'embedded' : 'native'}`, result, report);
} finally {
  await stage.stop();
}
