// Whether a question keeps its latency while documents stream in: searches at a steady pace, idle and during bulk
// ingestion by turns, in one run, and the ratio of the two. Ends with 1 where p95 grows by more than half.
// Use: npm run bench -- reserve [rounds].
// DATABASE_URL and REDIS_URL choose the engines; without them, the embedded ones.
import { newBase, pause, quantile, sentence, startForBench, timed, untilReady, uploadArticle } from './load.mjs';
import { printReport, writeReport } from './report.mjs';

const rounds = Number(process.argv[2] ?? 3);
const phaseMs = 8000;
const everyMs = 50;
const kilobytes = 12;
const waiting = 40;

const { lane, newTenant, stop } = await startForBench();
try {
  const [asker, uploader] = [await newTenant(), await newTenant()];
  const [asked, filled] = [await newBase(asker), await newBase(uploader)];
  const library = [];
  for (let n = 0; n < 60; n++) library.push(await uploadArticle(asker, asked, kilobytes));
  for (const path of library) await untilReady(asker, path);

  const search = () => asker.post(`${asked}/search`, { query: sentence(4) });
  /** Searches are begun on time, however long the ones before take. */
  const ask = async () => {
    const running = [];
    for (const end = performance.now() + phaseMs; performance.now() < end; await pause(everyMs))
      running.push(timed(search));
    return Promise.all(running);
  };

  await ask();
  const idle = [];
  const busy = [];
  let ingested = 0;
  for (let round = 0; round < rounds; round++) {
    const quiet = await ask();
    const bulk = beginBulk();
    await pause(1500);
    const loud = await ask();
    ingested += await bulk.end();
    idle.push(...quiet);
    busy.push(...loud);
    console.log(`round ${round + 1}: ${shown(quiet)} idle; ${shown(loud)} during ingestion`);
  }
  const perMinute = (ingested / rounds / (phaseMs + 1500)) * 60_000;
  const times = { idle: spread(idle), busy: spread(busy) };
  const ratio = { p50: times.busy.p50 / times.idle.p50, p95: times.busy.p95 / times.idle.p95 };
  const goal = 1.5;
  const result = { kind: 'reserve', at: new Date().toISOString(), lane, rounds, perMinute, times, ratio, goal };
  const report = {
    title: `Search while documents stream in, ${lane}`,
    notes: [
      `${result.at}; ${rounds} rounds by turns; ${perMinute.toFixed(0)} documents a minute of ${kilobytes} kB meanwhile`,
    ],
    tables: [
      {
        caption: `Every ${everyMs} ms a question; goal: p95 ratio at most ${goal}: ${ratio.p95 <= goal ? 'met' : 'NOT MET'}`,
        head: ['what', 'p50 ms', 'p95 ms'],
        rows: [row('idle', times.idle), row('during ingestion', times.busy), row('ratio', ratio, 2)],
      },
    ],
    charts: [],
  };
  printReport(report);
  await writeReport('data/bench', `reserve-${lane === 'embedded' ? 'embedded' : 'native'}`, result, report);
  if (ratio.p95 > goal) process.exitCode = 1;

  /** Keeps a few dozen documents waiting until told to end; then waits for the last. */
  function beginBulk() {
    const bulk = { on: true };
    const load = (async () => {
      const sent = [];
      let done = 0;
      let doneInTime = 0;
      for (;;) {
        while (bulk.on && sent.length - done < waiting) sent.push(await uploadArticle(uploader, filled, kilobytes));
        const path = sent[done];
        if (!path) return doneInTime;
        // As seldom as a person would: it is the ingestion that is measured, not who asks for it.
        await untilReady(uploader, path, 250);
        done++;
        if (bulk.on) doneInTime++;
      }
    })();
    return {
      end: () => {
        bulk.on = false;
        return load;
      },
    };
  }
} finally {
  await stop();
}

/** @param {number[]} times */
function spread(times) {
  return { p50: quantile(times, 0.5), p95: quantile(times, 0.95) };
}

/** @param {number[]} times */
function shown(times) {
  const { p50, p95 } = spread(times);
  return `p50 ${p50.toFixed(0)} ms, p95 ${p95.toFixed(0)} ms`;
}

/** @param {string} what @param {{ p50: number, p95: number }} times */
function row(what, { p50, p95 }, digits = 1) {
  return [what, p50.toFixed(digits), p95.toFixed(digits)];
}
