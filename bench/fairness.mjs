// What one tenant's single upload waits for behind another's backlog: upload to ready alone, then behind 2,000 documents,
// in one run, and the ratio. Use: npm run build && node bench/fairness.mjs [backlog].
// DATABASE_URL and REDIS_URL choose the engines; without them, the embedded ones.
import { newBase, pause, quantile, startForBench, timed, untilReady, uploadArticle } from './load.mjs';

const backlog = Number(process.argv[2] ?? 2000);
const singles = 7;
const kilobytes = 4;
const atOnce = 8;

const { lane, newTenant, stop } = await startForBench();
try {
  const [many, one] = [await newTenant(), await newTenant()];
  const [manyBase, oneBase] = [await newBase(many), await newBase(one)];
  const single = () => timed(async () => untilReady(one, await uploadArticle(one, oneBase, kilobytes)));
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
    await pause(300);
    waiting = await unfinished(many, manyBase);
  }
  console.log(
    `${lane}: ${shown(alone)} alone; ${shown(behind)} behind a backlog of which at least ${waiting} still wait`,
  );
  console.log(`the first, for which a parser starts: ${cold.toFixed(0)} ms alone, ${coldBehind.toFixed(0)} ms behind`);
  const worst = Math.max(...behind) / quantile(alone, 0.5);
  console.log(`p50 ratio ${(quantile(behind, 0.5) / quantile(alone, 0.5)).toFixed(2)}, slowest ${worst.toFixed(2)}`);
} finally {
  await stop();
}

/** @param {number[]} times */
function shown(times) {
  return `p50 ${quantile(times, 0.5).toFixed(0)} ms, slowest ${Math.max(...times).toFixed(0)} ms`;
}

/**
 * At least so many: to count them all would be work of its own for the service.
 * @param {import('../samples/demo/client.mjs').Client} client @param {string} base
 */
async function unfinished(client, base) {
  const { data } = await client.get(`${base}/documents?status=queued&limit=200`);
  return data.length;
}
