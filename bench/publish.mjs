// What publishing and going back cost, and whether that follows from how much changes or from how much there is: a sync that
// edits 1,000 passages (a tenth of them where there are fewer than 10,000), committed and rolled back, in a base that grows;
// and how long one document takes to come and to go in it.
// Use: npm run bench -- publish [--sizes 1000,10000,100000] [--rounds 5]
import { parseArgs } from 'node:util';
import { logLogChart } from './chart.mjs';
import { pause, quantile, timed } from './load.mjs';
import { printReport, writeReport } from './report.mjs';
import { standing } from './search/measure.mjs';
import { openStage } from './search/stage.mjs';

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '1000,10000,100000' },
    rounds: { type: 'string', default: '5' },
    out: { type: 'string', default: 'data/bench' },
  },
});
const most = 1000;
const ms = (/** @type {number} */ time) => time.toFixed(0);
/** @type {Record<string, string>} */
const names = {
  publish: 'publish',
  back: 'roll back',
  forward: 'activate again',
  alone: 'one upload, staged to served',
  deleted: 'delete one document: answered',
  gone: 'the same: nothing of it is left',
  storage: 'storage report',
};
const stage = await openStage();
const { owner, base } = stage;
try {
  const points = [];
  for (const size of values.sizes.split(',').map(Number)) {
    await stage.grow(size);
    const perDocument = stage.passages() / stage.documents();
    const edited = Math.max(1, Math.round(Math.min(most, size / 10) / perDocument));
    const before = await rowsUpdated();
    const rounds = [];
    for (let round = 0; round < Number(values.rounds); round++) rounds.push(await once(edited, round));
    const after = await rowsUpdated();
    const point = {
      passages: stage.passages(),
      changed: Math.round(edited * perDocument),
      ...Object.fromEntries(
        Object.keys(names).map((what) => [
          what,
          quantile(
            rounds.map((round) => round[what]),
            0.5,
          ),
        ]),
      ),
      asked: rounds.reduce((sum, { asked }) => sum + asked, 0),
      failed: rounds.reduce((sum, { failed }) => sum + failed, 0),
      hot: (after.hot - before.hot) / Math.max(1, after.updated - before.updated),
      vectorsUpdated: after.vectors - before.vectors,
    };
    points.push(point);
    console.error(JSON.stringify(point));
  }
  const lane = stage.lane === 'embedded' ? 'embedded' : 'native';
  const title = `Publishing and going back, ${stage.lane}`;
  const report = {
    title,
    notes: [`from the call to its effect, p50 of ${values.rounds}, in ms; a publish also waits for its turn, 100 ms`],
    tables: [
      {
        caption: 'by passages in the base',
        head: ['', ...points.map(({ passages }) => passages.toLocaleString('en'))],
        rows: [
          ['passages changed', ...points.map(({ changed }) => changed.toLocaleString('en'))],
          ...Object.entries(names).map(([what, name]) => [name, ...points.map((point) => ms(point[what]))]),
          ['searches meanwhile', ...points.map(({ asked }) => asked)],
          ['of them failed', ...points.map(({ failed }) => failed)],
          ['HOT share of row updates', ...points.map(({ hot }) => hot.toFixed(3))],
          ['vectors updated', ...points.map(({ vectorsUpdated }) => vectorsUpdated)],
        ],
      },
    ],
    charts: [
      logLogChart(
        title,
        { x: 'passages', y: 'ms' },
        Object.entries(names).map(([what, name]) => ({
          name,
          points: points.map((point) => /** @type {[number, number]} */ ([point.passages, point[what]])),
        })),
      ),
    ],
  };
  printReport(report);
  await writeReport(
    values.out,
    `publish-${lane}`,
    { kind: 'publish', at: new Date().toISOString(), lane, points },
    report,
  );
} finally {
  await stage.stop();
}

/**
 * A sync of so many edited documents, committed, rolled back, and activated again.
 * @param {number} edited
 * @param {number} round
 * @returns {Promise<Record<string, number>>}
 */
async function once(edited, round) {
  const { id } = await owner.post(`${base}/syncs`, {});
  const first = (round * edited) % Math.max(1, stage.documents() - edited);
  for (let number = first; number < first + edited; number++) {
    const document = stage.document(number);
    await owner.post(`${base}/documents`, {
      ...document,
      content: `Round ${round} of ${stage.documents()}.\n\n${document.content}`,
      syncId: id,
    });
  }
  await allStaged();
  const was = (await owner.get(base)).activeVersion;
  const reader = startReader();
  const publish = await timed(async () => {
    await owner.post(`${base}/syncs/${id}/commit`, {});
    while ((await owner.get(`${base}/syncs/${id}`)).status !== 'completed') await pause(5);
  });
  const { version } = await owner.get(`${base}/syncs/${id}`);
  const back = await timed(() => owner.post(`${base}/versions/${was}/activate`, {}));
  const forward = await timed(() => owner.post(`${base}/versions/${version}/activate`, {}));
  const { asked, failed } = await reader.stop();
  const storage = await timed(() => owner.get(`${base}/storage`));
  return { publish, back, forward, alone: await single(round), ...(await going(round)), storage, asked, failed };
}

/** Searches, one after the other, while versions change. */
function startReader() {
  const stopping = new AbortController();
  let asked = 0;
  let failed = 0;
  const reading = (async () => {
    for (; !stopping.signal.aborted; asked++) {
      const query = stage.questions[asked % stage.questions.length];
      await owner.post(`${base}/search`, { query }).catch(() => failed++);
    }
  })();
  return {
    stop: async () => {
      stopping.abort();
      await reading;
      return { asked, failed };
    },
  };
}

/** How long an upload on its own is staged before it is served, in ms, as its status tells. @param {number} round */
async function single(round) {
  const document = stage.document(0);
  const content = `Alone ${round}.\n\n${document.content}`;
  const { id } = await owner.post(`${base}/documents`, { ...document, content });
  let staged = Number.NaN;
  for (;;) {
    const { status } = await owner.get(`${base}/documents/${id}`);
    if (status === 'staged' && Number.isNaN(staged)) staged = performance.now();
    if (status === 'ready') return Number.isNaN(staged) ? 0 : performance.now() - staged;
    await pause(2);
  }
}

/** How long a document takes to go: until the call answers, and until its receipt says that nothing is left. @param {number} round */
async function going(round) {
  const { id } = await owner.post(`${base}/documents`, { ...stage.document(1), externalId: `going ${round}` });
  while ((await owner.get(`${base}/documents/${id}`)).status !== 'ready') await pause(20);
  const deleted = await timed(() => owner.delete(`${base}/documents/${id}`));
  const left = await timed(async () => {
    while ((await owner.get(`${base}/deletions/${id}`)).status !== 'completed') await pause(20);
  });
  return { deleted, gone: deleted + left };
}

async function allStaged() {
  const text = `select count(*)::int as count from revision where status in ('queued', 'parsing', 'chunking', 'embedding')`;
  while ((await stage.tapped({ statements: [{ text, values: [] }] })).rows[0].count > 0) await pause(100);
  await pause(1000);
}

/** As the server counts them; the embedded engine counts none. */
async function rowsUpdated() {
  const { indexId } = await standing(stage);
  const text = `select coalesce(sum(n_tup_upd) filter (where relname = $1), 0)::int as updated,
      coalesce(sum(n_tup_hot_upd) filter (where relname = $1), 0)::int as hot,
      coalesce(sum(n_tup_upd) filter (where relname = $2), 0)::int as vectors from pg_stat_user_tables`;
  await pause(1500); // a session reports what it did a second later
  const { rows } = await stage.tapped({
    statements: [{ text, values: [`chunk_${indexId}`, `chunk_vector_${indexId}`] }],
  });
  return rows[0];
}
