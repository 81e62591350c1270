// Whether a question keeps its latency while documents stream in: searches at a steady pace, idle and during bulk
// ingestion by turns, in one run, and the ratio of the two. Use: npm run bench -- reserve [rounds].
// DATABASE_URL and REDIS_URL choose the engines; without them, the embedded ones.
import { newBase, pause, quantile, sentence, startForBench, timed, untilReady, uploadArticle } from './load.mjs';

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
  const ratio = quantile(busy, 0.95) / quantile(idle, 0.95);
  const rate = (ingested / rounds / (phaseMs + 1500)) * 60_000;
  console.log(`${lane}: ${shown(idle)} idle; ${shown(busy)} during ingestion (${rate.toFixed(0)} documents a minute)`);
  console.log(`p95 ratio ${ratio.toFixed(2)}, p50 ratio ${(quantile(busy, 0.5) / quantile(idle, 0.5)).toFixed(2)}`);

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
        await untilReady(uploader, path);
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
function shown(times) {
  return `p50 ${quantile(times, 0.5).toFixed(0)} ms, p95 ${quantile(times, 0.95).toFixed(0)} ms`;
}
