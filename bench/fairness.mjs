// What one tenant's single upload waits for behind another's backlog: upload to ready alone, then behind 2,000 documents,
// in one run, and the ratio. Ends with 1 where the slowest takes more than three times as long as one alone.
// Use: npm run bench -- fairness [backlog].
// DATABASE_URL and REDIS_URL choose the engines; without them, the embedded ones.
import { newBase, pause, quantile, startForBench, timed, untilReady, uploadArticle } from './load.mjs';
import { printReport, writeReport } from './report.mjs';

const goal = 3;
const backlog = Number(process.argv[2] ?? 2000);
const singles = 7;
const kilobytes = 4;
const atOnce = 8;

const { lane, newTenant, stop } = await startForBench();
try {
  const [many, one] = [await newTenant(), await newTenant()];
  const [manyBase, oneBase] = [await newBase(many), await newBase(one)];
  const single = async () => {
    // A base that changed twice in two seconds waits for its next version, whoever else there is.
    await pause(2500);
    return timed(async () => untilReady(one, await uploadArticle(one, oneBase, kilobytes)));
  };
  const cold = await single();
  const alone = [];
  for (let n = 0; n < singles; n++) alone.push(await single());

  let left = backlog;
  const filling = timed(() =>
    Promise.all(
      Array.from({ length: atOnce }, async () => {
        while (left-- > 0) await uploadArticle(many, manyBase, kilobytes);
      }),
    ),
  );
  console.log(`${backlog} uploads accepted in ${((await filling) / 1000).toFixed(1)} s`);
  const coldBehind = await single();
  const behind = [];
  let waiting = backlog;
  for (let n = 0; n < singles && waiting > 0; n++) {
    behind.push(await single());
    waiting = await unfinished(many, manyBase);
  }
  const times = { alone: spread(alone, cold), behind: spread(behind, coldBehind) };
  // The slowest is compared with the median alone: what it has to wait for is what is measured, not luck.
  const ratio = {
    p50: times.behind.p50 / times.alone.p50,
    slowest: times.behind.slowest / times.alone.p50,
    first: times.behind.first / times.alone.first,
  };
  const met = ratio.slowest <= goal;
  const result = { kind: 'fairness', at: new Date().toISOString(), lane, backlog, waiting, times, ratio, goal };
  const report = {
    title: `One upload behind another tenant's backlog, ${lane}`,
    notes: [
      `${result.at}; ${backlog} documents of ${kilobytes} kB, of which at least ${waiting} still waited at the end`,
      'the first is one for which a parser starts, and is compared with such a one',
    ],
    tables: [
      {
        caption: `Upload to ready; goal: the slowest at most ${goal} times the median alone: ${met ? 'met' : 'NOT MET'}`,
        head: ['what', 'p50 ms', 'slowest ms', 'first ms'],
        rows: [row('alone', times.alone), row('behind the backlog', times.behind), row('ratio', ratio, 2)],
      },
    ],
    charts: [],
  };
  printReport(report);
  await writeReport('data/bench', `fairness-${lane === 'embedded' ? 'embedded' : 'native'}`, result, report);
  if (!met) process.exitCode = 1;
} finally {
  await stop();
}

/** @param {number[]} times @param {number} first */
function spread(times, first) {
  return { p50: quantile(times, 0.5), slowest: Math.max(...times), first };
}

/** @param {string} what @param {{ p50: number, slowest: number, first: number }} times */
function row(what, { p50, slowest, first }, digits = 0) {
  return [what, p50.toFixed(digits), slowest.toFixed(digits), first.toFixed(digits)];
}

/**
 * At least so many: to count them all would be work of its own for the service.
 * @param {import('../samples/demo/client.mjs').Client} client @param {string} base
 */
async function unfinished(client, base) {
  const { data } = await client.get(`${base}/documents?status=queued&limit=200`);
  return data.length;
}
