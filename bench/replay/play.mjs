import { Client } from '../../samples/demo/client.mjs';
import { inParallel } from '../load.mjs';
import { connectCms } from './cms.mjs';
import { after } from './commits.mjs';
import { startReader } from './reader.mjs';
import { embeddedPart, flawsOf, standingOf } from './standing.mjs';

/**
 * @typedef {import('./standing.mjs').Standing} Standing
 * @typedef {import('./commits.mjs').Files} Files
 * @typedef {object} Row what a commit led to
 * @property {string} commit
 * @property {number} files changed ones
 * @property {number} chunks of the whole base after it
 * @property {number} changed chunks whose text in its context the base never held before
 * @property {number} embedded texts that the model was asked for
 * @property {number} receipted what the receipts of its versions say was embedded
 * @property {number} versions
 * @property {number} seconds from the first hook call until all of it is served
 * @property {string[]} flaws where what is served is not what the files say
 */

/**
 * Replays a history through the hook of a CMS, commit by commit, with a reader asking throughout.
 *
 * @param {object} with_
 * @param {Client} with_.owner
 * @param {() => Promise<{ id: string, path: string }>} with_.newBase
 * @param {{ start: Files, commits: import('./commits.mjs').Commit[], end: Files }} with_.history
 * @param {() => number} with_.taken how many texts the model was asked for since it was last called
 * @param {(path: string, changed: { path: string, content: string | null, at: string }[]) => Promise<void>} with_.served
 *   waits until the base at this path serves these changes
 * @param {(row: Row) => void} [with_.tell]
 */
export async function play({ owner, newBase, history, taken, served, tell }) {
  const { start, commits, end } = history;
  const base = await fed(owner, newBase, start, served);
  let files = start;
  let standing = await standingOf(owner, base.path);
  const known = partsOf(standing);
  const first = { chunks: known.size, embedded: taken(), flaws: flawsOf(standing, start) };
  let version = (await owner.get(base.path)).activeVersion;
  const snapshots = new Map([[version, standing]]);
  const reader = startReader(new Client(owner.url, owner.key), base.path, questionsOf(start));
  /** @type {Row[]} */
  const rows = [];
  try {
    for (const [number, commit] of commits.entries()) {
      const began = performance.now();
      const changes = commit.changes.map((change) => ({ ...change, at: timeOf(number + 1) }));
      for (const change of changes) await base.say(change, change.at, !files.has(change.path));
      await served(base.path, changes);
      const seconds = (performance.now() - began) / 1000;
      files = after(files, commit);
      standing = await standingOf(owner, base.path);
      const fresh = [...partsOf(standing)].filter((part) => !known.has(part));
      for (const part of fresh) known.add(part);
      const now = (await owner.get(base.path)).activeVersion;
      const row = {
        commit: commit.commit.slice(0, 8),
        files: changes.length,
        chunks: countOf(standing),
        changed: fresh.length,
        embedded: taken(),
        receipted: await receipted(owner, base.path, version, now),
        versions: now - version,
        seconds,
        flaws: flawsOf(standing, files),
      };
      snapshots.set(now, standing);
      version = now;
      rows.push(row);
      tell?.(row);
    }
  } finally {
    await reader.stop();
  }
  return {
    first,
    rows,
    reader: {
      asked: reader.asked(),
      failed: reader.failed,
      strays: [...snapshots].flatMap(([number, one]) => reader.strays(number, one)),
      versions: reader.versions().filter((number) => snapshots.has(number)).length,
    },
    differences: await differencesFromFresh({ owner, newBase, end, served }, standing),
  };
}

/** A new base with these articles in it. @param {Client} owner @param {Files} files */
async function fed(owner, newBase, files, served) {
  const base = await newBase();
  const say = await connectCms(owner, base.id);
  const changes = [...files].map(([path, content]) => ({ path, content, at: timeOf(0) }));
  await inParallel(changes, 8, (change) => say(change, change.at, true));
  await served(base.path, changes);
  return { ...base, say };
}

/** Which articles of a base that came by all these commits are not those of one that got the last files at once. */
async function differencesFromFresh({ owner, newBase, end, served }, /** @type {Standing} */ standing) {
  const fresh = await standingOf(owner, (await fed(owner, newBase, end, served)).path);
  const paths = [...new Set([...fresh.keys(), ...standing.keys()])];
  const differing = paths.filter((path) => written(fresh, path) !== written(standing, path));
  return { articles: fresh.size, chunks: countOf(fresh), differing };
}

/** @param {Standing} standing @param {string} path */
const written = (standing, path) => JSON.stringify(standing.get(path)?.chunks);

/** @param {Client} owner @param {string} base @param {number} from @param {number} to */
async function receipted(owner, base, from, to) {
  let sum = 0;
  for (let number = from + 1; number <= to; number++) {
    sum += (await owner.get(`${base}/versions/${number}`)).receipt.chunks.embedded;
  }
  return sum;
}

/** @param {Standing} standing */
const partsOf = (standing) => new Set([...standing.values()].flatMap(({ chunks }) => chunks.map(embeddedPart)));

/** @param {Standing} standing */
const countOf = (standing) => [...standing.values()].reduce((sum, { chunks }) => sum + chunks.length, 0);

/** A CMS of its own time: real commits are not always in the order of their dates. @param {number} number */
const timeOf = (number) => new Date(Date.UTC(2026, 0, 1, 0, number)).toISOString();

/** What the articles' first headings ask for. @param {Files} files */
const questionsOf = (files) => [...files.values()].flatMap((text) => /^#+ +(.+)$/m.exec(text)?.[1] ?? []);
