import { readConfig } from '../../dist/config.js';
import { parserFor } from '../../dist/ingestion/parsers/registry.js';
import { inParallel } from '../load.mjs';

/**
 * @typedef {import('../../samples/demo/client.mjs').Client} Client
 * @typedef {{ ordinal: number, section: string[], page: number | null, start: number, end: number, lead: string | null, text: string }} Chunk
 * @typedef {{ id: string, sent: string, text: string, expected: string, chunks: Chunk[] }} Article `sent`: its bytes, as text
 * @typedef {Map<string, Article>} Standing by path
 */

const { bounds } = readConfig({}).parser;

/**
 * What a base serves: of every article its text, its bytes and its chunks, as the routes tell.
 *
 * @param {Client} owner
 * @param {string} base its path
 * @returns {Promise<Standing>}
 */
export async function standingOf(owner, base) {
  const documents = (await allOf(owner, `${base}/documents`)).filter(({ activeRevision }) => activeRevision !== null);
  const articles = await inParallel(documents, 4, async ({ id, externalId }) => {
    const path = `${base}/documents/${id}`;
    const { text, contentType } = await owner.get(`${path}/content`);
    const sent = await original(owner, path);
    const parsed = await (await parserFor(contentType)).parse(Buffer.from(sent), bounds);
    const chunks = (await allOf(owner, `${path}/chunks`)).map(
      ({ ordinal, section, page, start, end, lead, text: own }) => ({
        ordinal,
        section,
        page,
        start,
        end,
        lead,
        text: own,
      }),
    );
    return /** @type {[string, Article]} */ ([externalId, { id, sent, text, expected: parsed.text, chunks }]);
  });
  return new Map(articles);
}

/** @param {Client} owner @param {string} path */
async function original(owner, path) {
  const headers = { authorization: `Bearer ${owner.key}` };
  return (await fetch(`${owner.url}${path}/content?format=original`, { headers })).text();
}

/** Every page of a list. @param {Client} owner @param {string} path */
async function allOf(owner, path) {
  const all = [];
  for (let more = ''; ;) {
    const { data, nextCursor } = await owner.get(`${path}?limit=100${more}`);
    all.push(...data);
    if (nextCursor === null) return all;
    more = `&cursor=${encodeURIComponent(nextCursor)}`;
  }
}

/** What a chunk's vector is made of. @param {Chunk} chunk */
export const embeddedPart = ({ section, lead, text }) =>
  [...section, ...(lead === null ? [] : [lead]), text].join('\n');

/**
 * Where what is served is not what the files say, in words.
 *
 * @param {Standing} standing
 * @param {import('./commits.mjs').Files} files
 */
export function flawsOf(standing, files) {
  const flaws = [];
  for (const path of new Set([...standing.keys(), ...files.keys()])) {
    const article = standing.get(path);
    const file = files.get(path);
    if (!article || file === undefined) flaws.push(`${path}: ${article ? 'still served' : 'not served'}`);
    else if (article.sent !== file) flaws.push(`${path}: other bytes`);
    else if (article.text !== article.expected) flaws.push(`${path}: another text`);
    else if (!isWhole(article)) flaws.push(`${path}: the chunks are not its text`);
  }
  return flaws;
}

/** The chunks stand where they say, in order, and nothing but white space is between them. @param {Article} article */
function isWhole({ text, chunks }) {
  let end = 0;
  for (const [at, chunk] of chunks.entries()) {
    const there = chunk.ordinal === at && chunk.start >= end && text.slice(chunk.start, chunk.end) === chunk.text;
    if (!there || text.slice(end, chunk.start).trim() !== '') return false;
    end = chunk.end;
  }
  return chunks.length > 0 && text.slice(end).trim() === '';
}
