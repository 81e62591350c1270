import { pause } from '../load.mjs';

// Between two questions: the reader is there to notice, not to be a load.
const pauseMs = 10;

/**
 * @typedef {import('../../samples/demo/client.mjs').Client} Client
 * @typedef {import('./standing.mjs').Standing} Standing
 */

/**
 * Somebody who never stops asking: searches, one after the other, and every tenth time reads the article that was found
 * first. What is answered is kept, to be compared with what each version says.
 *
 * @param {Client} owner
 * @param {string} base its path
 * @param {string[]} questions
 */
export function startReader(owner, base, questions) {
  /** @type {string[]} */
  const failed = [];
  /** @type {Map<number, Map<string, Set<string>>>} */
  const seen = new Map();
  let asked = 0;
  const stopping = new AbortController();

  const ask = async () => {
    const query = questions[asked % questions.length];
    const { version, results, degraded } = await owner.post(`${base}/search`, { query });
    if (results.length === 0 || degraded.length > 0) failed.push(`"${query}": nothing found, or not by all means`);
    const texts = seen.get(version) ?? new Map();
    seen.set(version, texts);
    for (const { document, text } of results) {
      texts.set(document.externalId, (texts.get(document.externalId) ?? new Set()).add(text));
    }
    if (asked % 10 === 0) await owner.get(`${base}/documents/${results[0].document.id}/content`);
  };
  const reading = (async () => {
    for (; !stopping.signal.aborted; asked++) {
      await ask().catch((error) => failed.push(String(error)));
      await pause(pauseMs);
    }
  })();

  return {
    asked: () => asked,
    failed,
    /** What was answered as this version that it does not say, in words. @param {number} version @param {Standing} standing */
    strays: (version, standing) =>
      [...(seen.get(version) ?? [])].flatMap(([path, texts]) => {
        const its = new Set(standing.get(path)?.chunks.map(({ text }) => text));
        return [...texts].filter((text) => !its.has(text)).map((text) => `${path}: ${text.slice(0, 60)}`);
      }),
    versions: () => [...seen.keys()],
    stop: async () => {
      stopping.abort();
      await reading;
    },
  };
}
