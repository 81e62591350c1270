// What a new user waits for, on the embedded engine: start-up, upload to ready, search, an extractive answer, memory.
// Use: npm run bench -- spine [filing.pdf …]; every file named is ingested into one base. Figures are of this machine, now.
import { readFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { Client } from '../samples/demo/client.mjs';
import { startService } from '../samples/demo/service.mjs';

const pdf = 'application/pdf';
/** @type {() => Promise<void>} */
let stop = async () => undefined;
const say = (/** @type {string} */ name, /** @type {string} */ value) => console.log(`${name.padEnd(46)} ${value}`);

/** @param {number[]} times */
function spread(times) {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (/** @type {number} */ share) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0).toFixed(0);
  return `p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, of ${times.length}`;
}

/** @param {() => Promise<unknown>} deed */
async function timed(deed) {
  const started = performance.now();
  await deed();
  return performance.now() - started;
}

/** @param {number} times @param {() => Promise<unknown>} deed */
async function repeated(times, deed) {
  await deed();
  const taken = [];
  for (let round = 0; round < times; round++) taken.push(await timed(deed));
  return spread(taken);
}

/** @param {number} pid @returns {Promise<string>} resident memory now and at its highest, of the service's own process */
async function memory(pid) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const read = (/** @type {string} */ name) =>
    Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024);
  return `${read('VmRSS')} MiB now, ${read('VmHWM')} MiB at most`;
}

/** @param {Client} client @param {string} path */
async function ready(client, path) {
  for (;;) {
    const document = await client.get(path);
    if (document.status === 'ready') return document;
    if (document.status === 'failed') throw new Error(JSON.stringify(document.error));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

try {
  const started = performance.now();
  const { url, key, pid } = await startService((undo) => (stop = undo));
  const client = new Client(url, key);
  await client.get('/health/ready');
  say('start to ready, first boot', `${((performance.now() - started) / 1000).toFixed(1)} s`);
  say('memory at rest', await memory(pid));
  const base = (await client.post('/v1/knowledge-bases', { name: 'bench' })).id;
  const documents = `/v1/knowledge-bases/${base}/documents`;

  const paragraph = 'Visitors park in the north yard and sign in at the front desk before they enter the building. ';
  const articles = [];
  for (let number = 0; number < 8; number++) {
    const content = `# Article ${number}\n\n${paragraph.repeat(21)}Number ${number}.`;
    articles.push(
      await timed(async () => {
        const { id } = await client.post(documents, {
          title: `Article ${number}`,
          content,
          contentType: 'text/markdown',
        });
        await ready(client, `${documents}/${id}`);
      }),
    );
  }
  say('2 kB article, upload to ready', spread(articles));

  for (const file of process.argv.slice(2)) {
    let shown = '';
    const taken = await timed(async () => {
      const { id } = await client.upload(documents, pathToFileURL(file), pdf, {});
      const document = await ready(client, `${documents}/${id}`);
      shown = `${document.receipt.chunks.total} chunks, ${JSON.stringify(document.receipt.ms)}`;
    });
    say(file.split('/').at(-1) ?? file, `${(taken / 1000).toFixed(1)} s to ready; ${shown}`);
  }
  say('memory after that', await memory(pid));

  const query = 'What were total research and development expenses in 2022?';
  for (const mode of ['keyword', 'semantic', 'hybrid']) {
    say(
      `search, ${mode}`,
      await repeated(30, () => client.post(`/v1/knowledge-bases/${base}/search`, { query, mode })),
    );
  }
  say('extractive answer', await repeated(30, () => client.ask(base, query)));
} finally {
  await stop();
}
