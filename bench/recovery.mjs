// How long the service needs after an engine was restarted beneath it, under load. The engines are the ones that
// DATABASE_URL and REDIS_URL name, and are restarted by commands of yours, so take engines that nobody else uses:
//   npm run build && node bench/recovery.mjs 'PostgreSQL, fast=pg_ctl -D … -m fast -w restart' 'Redis=systemctl restart redis'
import { exec } from 'node:child_process';
import { promisify } from 'node:util';
import { openScratch, pause } from './scratch.mjs';

const run = promisify(exec);
const restarts = process.argv.slice(2).map((argument) => argument.split(/=(.*)/s));
if (restarts.length === 0) throw new Error('name what to restart: a label, =, and a command');

const scratch = await openScratch();
try {
  const client = await scratch.client(await scratch.start('api'));
  await scratch.start('worker');
  const base = (await client.post('/v1/knowledge-bases', { name: 'bench' })).id;
  const documents = `/v1/knowledge-bases/${base}/documents`;
  let number = 0;
  const upload = async () => {
    const content = `# Rule ${++number}\n\nIt holds for everyone.`;
    return (await client.post(documents, { title: `Rule ${number}`, content, contentType: 'text/markdown' })).id;
  };
  const ready = async (/** @type {string} */ id) => (await client.get(`${documents}/${id}`)).status === 'ready';
  const warm = await upload();
  await until(() => ready(warm));

  for (const [label = '', command = ''] of restarts) {
    /** @type {{ at: number, status: string }[]} */
    const questions = [];
    /** @type {string[]} */
    const accepted = [];
    const loading = new AbortController();
    const repeat = async (/** @type {() => Promise<unknown>} */ deed, /** @type {number} */ every) => {
      while (!loading.signal.aborted) await Promise.all([deed(), pause(every)]);
    };
    const load = Promise.all([
      repeat(async () => {
        const status = await client
          .post(`/v1/knowledge-bases/${base}/search`, { query: 'rule' })
          .then(() => 'ok', statusOf);
        questions.push({ at: performance.now(), status });
      }, 20),
      repeat(
        () =>
          upload().then(
            (id) => accepted.push(id),
            () => undefined,
          ),
        100,
      ),
    ]);
    await pause(2000);
    const began = performance.now();
    await run(command, { timeout: 60_000 });
    const up = performance.now();
    const last = await until(() => upload().catch(() => null));
    await until(() => ready(last).catch(() => false));
    const worked = performance.now();
    await pause(1000);
    loading.abort();
    await load;
    for (const id of accepted) await until(() => ready(id).catch(() => false));
    const failed = questions.filter(({ status }) => status !== 'ok');
    const again = questions.find(({ at, status }) => status === 'ok' && at > (failed.at(-1)?.at ?? up))?.at ?? up;
    const codes = [...new Set(failed.map(({ status }) => status))].join(', ') || 'none';
    console.log(
      `${label}: restarted in ${ms(up - began)}; questions answered again ${ms(Math.max(0, again - up))} after it was up ` +
        `(${failed.length} of ${questions.length} refused: ${codes}); an upload ready ${ms(worked - up)} after; ` +
        `${accepted.length} accepted meanwhile, 0 lost`,
    );
  }
} finally {
  await scratch.close();
}

function ms(/** @type {number} */ time) {
  return `${Math.round(time)} ms`;
}

function statusOf(/** @type {Error} */ error) {
  return /(?:^|\s)(\d{3}) \{/.exec(error.message)?.[1] ?? error.message;
}

/** @template T @param {() => Promise<T>} look @returns {Promise<NonNullable<T>>} */
async function until(look) {
  const end = performance.now() + 120_000;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (performance.now() > end) throw new Error('waited two minutes');
    await pause(20);
  }
}
