import { barChart, differenceChart } from '../chart.mjs';

// An evaluation as people read it: tables of our figures beside others', and charts.

const figure = (/** @type {number} */ value) => value.toFixed(4);
const percent = (/** @type {number | null} */ value) => (value === null ? '' : (100 * value).toFixed(1));
const signed = (/** @type {number} */ value) => `${value < 0 ? '' : '+'}${value.toFixed(4)}`;

/** @returns {import('../report.mjs').Report} */
export function presentRanking(result) {
  const tables = result.scorings.flatMap(({ convention, systems, comparisons }) => [
    {
      caption: `${result.collection}: ${convention}`,
      head: ['system', 'nDCG@10', 'recall@100', 'MRR@10', 'documents ranked (median)', 'ms a question'],
      rows: systems.map((one) => [
        one.system,
        ...[one.ndcg10, one.recall100, one.mrr10].map(figure),
        one.documentsRanked,
        one.msEach === null ? '' : one.msEach.toFixed(1),
      ]),
    },
    comparisonTable('nDCG@10', comparisons),
  ]);
  const { published } = result.marks;
  if (published.length > 0) {
    const rows = published.map(({ name, value }) => [name, value]);
    tables.push({ caption: 'Measured by others, nDCG@10', head: ['system', 'nDCG@10'], rows });
  }
  const [first] = result.scorings;
  const groups = /** @type {const} */ ([
    ['nDCG@10', 'ndcg10'],
    ['recall@100', 'recall100'],
    ['MRR@10', 'mrr10'],
  ]).map(([name, measure]) => ({
    name,
    values: first.systems.map((one) => ({ series: one.system, value: one[measure] })),
  }));
  const marks = result.marks.goals.map(({ least }) => ({ name: 'goal, nDCG@10', value: least }));
  const charts = [barChart(`${result.collection}, ${result.questions} questions`, groups, marks)];
  for (const [one, other] of [
    ['hybrid', 'keyword'],
    ['hybrid', 'plain BM25'],
  ]) {
    const each = [one, other].map((name) => first.systems.find(({ system }) => system === name)?.each);
    if (!each[0] || !each[1]) continue;
    const differences = each[0].map(({ ndcg10 }, at) => ndcg10 - each[1][at].ndcg10);
    charts.push(differenceChart(`nDCG@10 of each question: ${one} less ${other}`, differences));
  }
  return { ...opening(result), tables: [...tables, ...goalTable(result.goals, figure)], charts };
}

const spanShares = (/** @type {any} */ one) => [one.recall, one.precision, one.iou].map(percent);

/** @returns {import('../report.mjs').Report} */
export function presentChunking(result) {
  const head = ['recall %', 'precision %', 'IoU %'];
  const tables = [
    {
      caption: `Spans covered by the first ${result.retrieved} passages`,
      head: ['asked of', 'mode', ...head],
      rows: result.runs.map((run) => [run.scope, run.mode, ...spanShares(run)]),
    },
    {
      caption: 'By corpus, asked of its own',
      head: ['corpus', 'mode', 'questions', ...head],
      rows: result.runs
        .filter(({ scope }) => scope === 'own corpus')
        .flatMap((run) => run.byCorpus.map((one) => [one.corpus, run.mode, one.questions, ...spanShares(one)])),
    },
    comparisonTable('recall', result.comparisons),
    {
      caption: 'Measured by others, five chunks',
      head: ['system', ...head],
      rows: result.marks.published.map(({ name, values }) => [name, ...values.map((value) => value.toFixed(1))]),
    },
  ];
  const groups = result.runs.map((run) => ({
    name: `${run.mode}, ${run.scope.replace(' corpus', '').replace(' corpora', '')}`,
    values: [
      { series: 'recall', value: run.recall },
      { series: 'IoU', value: run.iou },
    ],
  }));
  const marks = Object.entries(result.marks.goals).map(([name, value]) => ({ name: `goal, ${name}`, value }));
  const charts = [barChart(`Chunking, ${result.questions} questions`, groups, marks)];
  return { ...opening(result), tables: [...tables, ...goalTable(result.goals, figure)], charts };
}

const hitShares = (/** @type {any} */ one) => [one.filing, one.page, one.pageFilingKnown].map(percent);

/** @returns {import('../report.mjs').Report} */
export function presentFinance(result) {
  const head = ['right filing %', 'right page %', 'right page, filing known %'];
  const tables = [
    {
      caption: `Among the first 10 passages, ${result.questions} questions`,
      head: ['mode', ...head],
      rows: result.runs.map((run) => [run.mode, ...hitShares(run)]),
    },
    comparisonTable('right page', result.comparisons),
    {
      caption: 'Measured by others, top 10 pages',
      head: ['system', ...head],
      rows: result.marks.published.map((one) => [one.name, ...hitShares(one)]),
    },
  ];
  const groups = result.runs.map((run) => ({
    name: run.mode,
    values: [
      { series: 'right filing', value: run.filing },
      { series: 'right page', value: run.page },
      { series: 'right page, filing known', value: run.pageFilingKnown },
    ],
  }));
  const charts = [barChart(`FinanceBench, ${result.questions} questions`, groups)];
  return { ...opening(result), tables: [...tables, ...goalTable(result.goals, figure)], charts };
}

function opening(result) {
  const { loading, corpus } = result;
  const failed = (loading?.failed ?? []).map(({ externalId, code }) => `${externalId} (${code})`);
  const notes = [
    `${result.at}; ${result.service.engine}; embeddings ${result.service.embeddings ?? 'as in the base'}`,
    `${corpus.documents} documents, ${result.questions} questions asked through the service's own search call`,
  ];
  if (result.convention) notes.push(`Convention: ${result.convention}.`);
  if (corpus.withoutText?.length) notes.push(`Left out, since they hold no text: ${corpus.withoutText.join(', ')}`);
  if (loading) {
    const seconds = (loading.totalMs / 1000).toFixed(1);
    notes.push(
      `Loaded in ${seconds} s (uploads ${(loading.uploadMs / 1000).toFixed(1)} s), ${loading.chunks} passages`,
    );
  }
  if (failed.length > 0) notes.push(`Failed: ${failed.join(', ')}`);
  if (result.degraded) notes.push(`DEGRADED: ${result.degraded} answers came without one of the legs`);
  return { title: `Evaluation: ${result.collection}`, notes };
}

/** @returns {import('../report.mjs').Table} */
function comparisonTable(measure, comparisons) {
  return {
    caption: `Paired comparison, ${measure} (95 % by bootstrap, p by randomisation, 10,000 rounds)`,
    head: ['one', 'other', 'difference', '95 % interval', 'p', 'wins', 'losses', 'ties'],
    rows: comparisons.map((one) => [
      one.scope ? `${one.one} (${one.scope})` : one.one,
      one.other,
      signed(one.difference),
      `${signed(one.low)} to ${signed(one.high)}`,
      one.p.toFixed(4),
      one.wins,
      one.losses,
      one.ties,
    ]),
  };
}

/** @returns {import('../report.mjs').Table[]} */
function goalTable(goals, show) {
  if (goals.length === 0) return [];
  const rows = goals.map(({ goal, least, value, met }) => [goal, show(least), show(value), met ? 'met' : 'NOT MET']);
  return [{ caption: 'Goals', head: ['goal', 'least', 'seen', ''], rows }];
}
