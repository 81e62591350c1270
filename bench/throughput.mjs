// Documents a minute through 1, 2 and 3 worker processes, on the engines that DATABASE_URL and REDIS_URL name.
// Use: npm run build && node bench/throughput.mjs [documents, 120]. All are uploaded before the first worker starts.
import { availableParallelism } from 'node:os';
import { openScratch, pause } from './scratch.mjs';

const count = Number(process.argv[2] ?? 120);
const paragraph = 'Visitors park in the north yard and sign in at the front desk before they enter the building. ';
const content = (/** @type {number} */ n) =>
  Array.from({ length: 4 }, (_, part) => `## Part ${part}\n\n${paragraph.repeat(5)}Number ${n}.`).join('\n\n');

console.log(
  `${count} articles of 2 kB, ${availableParallelism()} cores, HEAVY_CONCURRENCY ${process.env.HEAVY_CONCURRENCY ?? 3} in each worker`,
);
let first = 0;
for (const workers of [1, 2, 3]) {
  const scratch = await openScratch();
  try {
    const client = await scratch.client(await scratch.start('api'));
    const base = (await client.post('/v1/knowledge-bases', { name: 'bench' })).id;
    const documents = `/v1/knowledge-bases/${base}/documents`;
    for (let n = 0; n < count; n++) {
      await client.post(documents, { title: `Article ${n}`, content: content(n), contentType: 'text/markdown' });
    }
    await Promise.all(Array.from({ length: workers }, () => scratch.start('worker')));
    const started = performance.now();
    const { at, ready } = await finished(client, base);
    const perMinute = (ready / (at - started)) * 60_000;
    first ||= perMinute;
    console.log(
      `${workers} worker${workers > 1 ? 's' : ' '}  ${perMinute.toFixed(0)} documents a minute, ` +
        `${(perMinute / first).toFixed(2)} of one worker's`,
    );
  } finally {
    await scratch.close();
  }
}

/** @param {import('../samples/demo/client.mjs').Client} client @param {string} base */
async function finished(client, base) {
  for (;;) {
    const { activeVersion } = await client.get(`/v1/knowledge-bases/${base}`);
    if (activeVersion > 0) {
      const { stats } = await client.get(`/v1/knowledge-bases/${base}/versions/${activeVersion}`);
      if (stats.documents >= count) return { at: performance.now(), ready: stats.documents };
    }
    await pause(200);
  }
}
