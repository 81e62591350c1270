// A documentation site replayed commit by commit through the webhook of its CMS: after each commit, what was embedded is
// what changed, what is served is what the files say, and a reader who asks throughout gets an answer each time; at the
// end, all of it is what a new base is that got the last files at once. Ends with 1 where one of these is not so.
// Use: npm run bench -- replay [--data ../shared/data/docsite/nestjs] [--last 30]
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { patiently, pause, quantile, startForBench } from './load.mjs';
import { after, readCommits } from './replay/commits.mjs';
import { startCountingModel } from './replay/counting-model.mjs';
import { play } from './replay/play.mjs';
import { printReport, writeReport } from './report.mjs';

/** @typedef {import('../samples/demo/client.mjs').Client} Client */

const { values } = parseArgs({
  options: {
    data: { type: 'string', default: new URL('../../shared/data/docsite/nestjs', import.meta.url).pathname },
    last: { type: 'string', default: '30' },
    out: { type: 'string', default: 'data/bench' },
  },
});

const whole = await readCommits(values.data);
const skipped = whole.commits.slice(0, -Number(values.last));
const history = {
  start: skipped.reduce(after, whole.start),
  commits: whole.commits.slice(skipped.length),
  end: whole.end,
};
const model = await startCountingModel();
const service = await startForBench(model.env);
try {
  const owner = patient(await service.newTenant());
  const newBase = async () => {
    const { id } = await owner.post('/v1/knowledge-bases', { name: randomUUID() });
    return { id, path: `/v1/knowledge-bases/${id}` };
  };
  const result = await play({
    owner,
    newBase,
    history,
    taken: model.taken,
    served: (base, changes) => served(owner, base, changes),
    tell: (row) => console.error(JSON.stringify(row)),
  });
  await report(result);
  if (flaws(result).length > 0) process.exitCode = 1;
} finally {
  await service.stop();
  model.stop();
}

/** A caller who asks again while the service has too much to do. @param {Client} client */
function patient(client) {
  const call = client.call.bind(client);
  client.call = (...request) => patiently.execute(() => call(...request));
  return client;
}

/**
 * Waits until each article is what was said of it last: ready with it, or gone.
 *
 * @param {Client} owner
 * @param {string} base
 * @param {{ path: string, content: string | null, at: string }[]} changes
 */
async function served(owner, base, changes) {
  for (const { path, content, at } of changes) {
    for (;;) {
      const [document] = (await owner.get(`${base}/documents?externalId=${encodeURIComponent(path)}`)).data;
      if (document?.status === 'failed') throw new Error(`${path}: ${JSON.stringify(document.error)}`);
      const isNow = document?.status === 'ready' && new Date(document.sourceUpdatedAt).toISOString() === at;
      if (content === null ? !document : isNow) break;
      await pause(10);
    }
  }
}

/** What is not as it should be. @param {Awaited<ReturnType<typeof play>>} result */
function flaws({ first, rows, reader, differences }) {
  return [
    ...first.flaws,
    ...rows.flatMap(({ commit, flaws: own, ...row }) => [
      ...own.map((flaw) => `${commit}: ${flaw}`),
      ...(row.embedded === row.changed && row.receipted === row.changed ? [] : [`${commit}: embedded is not changed`]),
    ]),
    ...reader.failed,
    ...reader.strays,
    ...differences.differing.map((path) => `${path}: not as in a new base`),
  ];
}

/** @param {Awaited<ReturnType<typeof play>>} result */
function report(result) {
  const { first, rows, reader, differences } = result;
  const sum = (/** @type {'files' | 'changed' | 'embedded' | 'receipted' | 'versions'} */ what) =>
    rows.reduce((total, row) => total + row[what], 0);
  const seconds = rows.map((row) => row.seconds);
  const found = flaws(result);
  const page = {
    title: `Replay of ${rows.length} commits, ${service.lane}`,
    notes: [
      `${history.start.size} articles, ${first.chunks} different chunks, ${first.embedded} embedded before the first commit`,
      `the reader asked ${reader.asked} times, ${reader.failed.length} failed; of ${reader.versions} versions that it saw, ${reader.strays.length} passages were of another one`,
      `a new base of the last files: ${differences.articles} articles, ${differences.chunks} chunks, ${differences.differing.length} articles differ`,
      found.length === 0
        ? 'nothing is otherwise than it should be'
        : `NOT AS IT SHOULD BE: ${found.slice(0, 20).join('; ')}`,
    ],
    tables: [
      {
        caption: 'commit by commit',
        head: ['commit', 'files', 'chunks changed', 'embedded', 'says the receipt', 'versions', 'seconds'],
        rows: [
          ...rows.map((row) => [
            row.commit,
            row.files,
            row.changed,
            row.embedded,
            row.receipted,
            row.versions,
            row.seconds.toFixed(2),
          ]),
          [
            'all',
            sum('files'),
            sum('changed'),
            sum('embedded'),
            sum('receipted'),
            sum('versions'),
            `p50 ${quantile(seconds, 0.5).toFixed(2)}, most ${Math.max(...seconds).toFixed(2)}`,
          ],
        ],
      },
    ],
    charts: [],
  };
  printReport(page);
  const lane = service.lane === 'embedded' ? 'embedded' : 'native';
  return writeReport(values.out, `replay-${lane}`, { kind: 'replay', at: new Date().toISOString(), ...result }, page);
}
