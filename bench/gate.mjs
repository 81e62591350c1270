// Whether the gate tells a bad sync from a good one, on a public collection with its own questions: half of them become
// golden questions; a sync that edits every tenth document is committed, then one in which every third document has the
// text of another. What the gate says of each, and how long it took.
// Use: npm run bench -- gate [folder]   (default: ../shared/data/retrieval/time)
import { evenly, readCollection } from './eval/collection.mjs';
import { allAnswer, inParallel, newBase, patiently, pause, startForBench, timed } from './load.mjs';
import { printReport } from './report.mjs';

const collection = await readCollection(process.argv[2] ?? '../shared/data/retrieval/time');
const golden = evenly(collection.questions, Math.ceil(collection.questions.length / 2));
const { lane, newTenant, stop } = await startForBench();
try {
  const client = await newTenant();
  const base = await newBase(client);
  const put = (/** @type {import('./eval/collection.mjs').CorpusDocument} */ { id, title, text }, syncId = undefined) =>
    patiently.execute(() =>
      client.post(`${base}/documents`, {
        externalId: id,
        title: title || id,
        content: text,
        contentType: 'text/plain',
        syncId,
      }),
    );
  await inParallel(collection.documents, 8, (document) => put(document));
  await allAnswer(client, base, collection.documents.length, { everyMs: 200 });
  for (const { text, gains } of golden) {
    const expected = [...gains].filter(([, gain]) => gain > 0).map(([externalId]) => ({ externalId }));
    await client.post(`${base}/golden-questions`, { query: text, expected: expected.slice(0, 20) });
  }
  const rows = [];
  for (const [what, documents] of [
    ['every tenth edited', edited()],
    ['every third with the text of another', shuffled()],
  ])
    rows.push(await commit(what, documents));
  printReport({
    title: `The gate, ${lane}`,
    notes: [`${collection.name}: ${collection.documents.length} documents, ${golden.length} golden questions`],
    tables: [
      {
        caption: 'found: the mean of 1/rank',
        head: [
          'sync',
          'documents',
          'found before',
          'found after',
          'lost',
          'worse',
          'verdict',
          'answers now',
          'seconds',
        ],
        rows,
      },
    ],
    charts: [],
  });

  /** @param {string} what @param {import('./eval/collection.mjs').CorpusDocument[]} documents */
  async function commit(what, documents) {
    const active = (await client.get(base)).activeVersion;
    const { id } = await client.post(`${base}/syncs`, {});
    await inParallel(documents, 8, (document) => put(document, id));
    const took = await timed(async () => {
      await client.post(`${base}/syncs/${id}/commit`, {});
      for (;;) {
        const { status } = await client.get(`${base}/syncs/${id}`);
        if (status === 'completed' || status === 'blocked') return;
        await pause(200);
      }
    });
    const { version } = await client.get(`${base}/syncs/${id}`);
    const { status, report } = await client.get(`${base}/versions/${version}`);
    const now = (await client.get(base)).activeVersion;
    return [
      what,
      String(documents.length),
      report.before.toFixed(3),
      report.after.toFixed(3),
      String(report.lost),
      String(report.worse.length),
      status,
      now === active ? 'the version before' : 'the new one',
      (took / 1000).toFixed(1),
    ];
  }
} finally {
  await stop();
}

function edited() {
  return collection.documents
    .filter((_, at) => at % 10 === 0)
    .map((document) => ({ ...document, text: `${document.text}\n\nThis text was looked through again this year.` }));
}

function shuffled() {
  const some = collection.documents.filter((_, at) => at % 3 === 0);
  return some.map((document, at) => ({ ...document, text: some[(at + 1) % some.length]?.text ?? '' }));
}
