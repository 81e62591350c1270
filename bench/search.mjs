// What a search costs at 100,000 passages with permissions on, beside the bare statements it needs and beside LangChain's
// own search over the same rows; and what callers find who see little. By turns in one run.
// Use: npm run bench -- search [--passages 100000] [--questions 120]
import { parseArgs } from 'node:util';
import { evenly } from './eval/collection.mjs';
import { printReport, writeReport } from './report.mjs';
import { groups } from './search/corpus.mjs';
import { copyForLangChain, filteredRecall, measureSearch, standing } from './search/measure.mjs';
import { openStage } from './search/stage.mjs';

const { values } = parseArgs({
  options: {
    passages: { type: 'string', default: '100000' },
    questions: { type: 'string', default: '120' },
    out: { type: 'string', default: 'data/bench' },
  },
});
const ms = (/** @type {{ p50: number, p95: number }} */ { p50, p95 }) => [p50.toFixed(1), p95.toFixed(1)];

const stage = await openStage();
try {
  const loadingMs = await stage.grow(Number(values.passages));
  await copyForLangChain(stage, (await standing(stage)).indexId);
  const questions = evenly(stage.questions, Number(values.questions));
  const times = await measureSearch(stage, questions, 'half');
  const recalls = [];
  for (const who of groups.filter(({ share }) => share <= 0.1))
    recalls.push(await filteredRecall(stage, evenly(questions, 40), who));

  const { keyword, semantic, hybrid, postings, statements, langchain } = times;
  const goals = [
    { goal: 'keyword p50, times the bare posting fetch', most: 2, value: keyword.p50 / postings.p50 },
    { goal: 'hybrid p50, times the bare statements', most: 1.6, value: hybrid.p50 / statements.p50 },
    { goal: "hybrid p95, times LangChain's dense-only unfiltered", most: 1, value: hybrid.p95 / langchain.p95 },
  ].map((one) => ({ ...one, met: one.value <= one.most }));
  const result = {
    kind: 'search',
    at: new Date().toISOString(),
    lane: stage.lane,
    passages: stage.passages(),
    documents: stage.documents(),
    loadingMs,
    times,
    goals,
    recalls,
  };
  const report = {
    title: `Search at ${stage.passages().toLocaleString('en')} passages, ${stage.lane}`,
    notes: [
      `${result.at}; ${stage.documents()} documents, all restricted, the caller sees half; ${questions.length} real questions`,
      `Loaded through the upload call in ${(loadingMs / 1000).toFixed(0)} s`,
    ],
    tables: [
      {
        caption: 'One question at a time',
        head: ['what', 'p50 ms', 'p95 ms'],
        rows: [
          ['/search, keyword', ...ms(keyword)],
          ['/search, semantic', ...ms(semantic)],
          ['/search, hybrid', ...ms(hybrid)],
          ['bare: posting lists of the terms', ...ms(postings)],
          ['bare: all statements that hybrid needs', ...ms(statements)],
          ['LangChain, dense only, unfiltered', ...ms(langchain)],
        ],
      },
      {
        caption: 'Goals',
        head: ['goal', 'at most', 'seen', ''],
        rows: goals.map(({ goal, most, value, met }) => [goal, most, value.toFixed(2), met ? 'met' : 'NOT MET']),
      },
      {
        caption:
          'Semantic search under permissions, against the exact order (goal: recall@10 >= 0.95, never fewer than there are)',
        head: ['visible', 'passages', 'recall@10', 'answers too short'],
        rows: recalls.map(({ share, passages, recall, short, questions: asked }) => [
          `${100 * share} %`,
          passages,
          recall.toFixed(3),
          `${short} of ${asked}`,
        ]),
      },
    ],
    charts: [],
  };
  printReport(report);
  await writeReport(values.out, `search-${stage.lane === 'embedded' ? 'embedded' : 'native'}`, result, report);
} finally {
  await stage.stop();
}
