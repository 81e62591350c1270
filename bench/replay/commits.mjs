import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * @typedef {Map<string, string>} Files texts by path
 * @typedef {{ path: string, content: string | null }} Change null: the file is gone
 * @typedef {{ commit: string, date: string, subject: string, changes: Change[] }} Commit
 */

/**
 * A folder of documents and its last commits: `replay_base` (files), `replay.jsonl` (commit, date, subject, ops) and
 * `replay` (contents by blob). `v2` is what they lead to.
 *
 * @param {string} folder
 * @returns {Promise<{ start: Files, commits: Commit[], end: Files }>}
 */
export async function readCommits(folder) {
  const lines = (await readFile(join(folder, 'replay.jsonl'), 'utf8')).trim().split('\n');
  const commits = lines.map(async (line) => {
    const { ops, ...about } = JSON.parse(line);
    return { ...about, changes: (await Promise.all(ops.map((op) => changesOf(folder, op)))).flat() };
  });
  return {
    start: await readFiles(join(folder, 'replay_base')),
    commits: await Promise.all(commits),
    end: await readFiles(join(folder, 'v2')),
  };
}

/** @param {string} folder @returns {Promise<Files>} */
async function readFiles(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  const files = paths
    .toSorted()
    .map(async (path) => /** @type {const} */ ([path.slice(folder.length + 1), await readFile(path, 'utf8')]));
  return new Map(await Promise.all(files));
}

/** @param {string} folder @param {{ op: string, path: string, old_path: string | null, blob: string | null }} op */
async function changesOf(folder, { op, path, old_path: before, blob }) {
  const gone = op === 'delete' ? path : before;
  const content = op === 'delete' || !blob ? null : await readFile(join(folder, 'replay', blob), 'utf8');
  return [...(gone && gone !== path ? [{ path: gone, content: null }] : []), { path, content }];
}

/** What the files are after a commit. @param {Files} files @param {Commit} commit @returns {Files} */
export function after(files, { changes }) {
  const next = new Map(files);
  for (const { path, content } of changes) {
    if (content === null) next.delete(path);
    else next.set(path, content);
  }
  return next;
}

/** The same history of some of the files. @param {Awaited<ReturnType<typeof readCommits>>} history @param {(path: string) => boolean} keeps */
export function partOf({ start, commits, end }, keeps) {
  const some = (/** @type {Files} */ files) => new Map([...files].filter(([path]) => keeps(path)));
  const kept = commits.map((commit) => ({ ...commit, changes: commit.changes.filter(({ path }) => keeps(path)) }));
  return { start: some(start), commits: kept.filter(({ changes }) => changes.length > 0), end: some(end) };
}
