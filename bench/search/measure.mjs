import { bucketOf } from '../../dist/knowledge/posting-format.js';
import { placeOf, terms } from '../../dist/knowledge/terms.js';
import { lexicalVector } from '../../dist/platform/models/lexical-embeddings.js';
import { quantile, timed } from '../load.mjs';

const topK = 10;
// What ranking reads, as against who is asking: who has a key, which base, which version.
const ranking = String.raw`\b(chunk|chunk_vector|segment_revision|hnsw)\b`;
const langchainTable = 'langchain_rows';

/** @typedef {Awaited<ReturnType<import('./stage.mjs')['openStage']>>} Stage */

/** Where the base's passages stand now. @param {Stage} stage @returns {Promise<{ indexId: number, version: number }>} */
export async function standing({ tapped }) {
  const text = `select v.index_id as "indexId", v.number as version from knowledge_base b
    join version v on v.knowledge_base_id = b.id and v.number = b.active_version and v.index_id is not null`;
  return (await tapped({ statements: [{ text, values: [] }] })).rows[0];
}

/** The same passages and vectors in a table as LangChain's PGVectorStore makes it. @param {Stage} stage @param {number} indexId */
export async function copyForLangChain({ tapped }, indexId) {
  const texts = [
    `drop table if exists ${langchainTable}`,
    `create table ${langchainTable} as select c.id, c.text, jsonb_build_object('source', c.document_id) as metadata, v.embedding::vector as embedding
     from chunk c join chunk_vector v on v.index_id = ${indexId} and v.chunk_id = c.id where c.index_id = ${indexId}`,
    `alter table ${langchainTable} add primary key (id)`,
    `analyze ${langchainTable}`,
  ];
  await tapped({ statements: texts.map((text) => ({ text, values: [] })) });
}

const vectorOf = (/** @type {string} */ question) => `[${lexicalVector(question).join(',')}]`;

/**
 * Asks each question through the service and, right after it, sends the bare statements: all that is compared is measured
 * by turns.
 *
 * @param {Stage} stage
 * @param {string[]} questions
 * @param {string} group who asks
 */
export async function measureSearch(stage, questions, group) {
  const { tapped, base } = stage;
  const caller = await stage.callerOf(group);
  const search = (/** @type {string} */ query, /** @type {string} */ mode) =>
    caller.post(`${base}/search`, { query, mode, topK });
  const { indexId } = await standing(stage);
  const { rows: segments } = await tapped({
    statements: [{ text: 'select no, buckets from segment where index_id = $1', values: [indexId] }],
  });
  const send = async (/** @type {{ text: string, values: unknown[] }} */ statement) =>
    (await tapped({ statements: [statement] })).ms;
  // Warm: what has never been asked is a matter of the first minute.
  for (const question of questions.slice(0, 30))
    for (const mode of ['keyword', 'semantic', 'hybrid']) await search(question, mode);

  const taken = { keyword: [], semantic: [], hybrid: [], postings: [], statements: [], langchain: [] };
  for (const question of questions) {
    const postings = postingFetch(indexId, segments, question);
    await tapped({ record: true });
    await search(question, 'hybrid');
    await tapped({ keep: 'hybrid', matching: ranking });
    taken.keyword.push(await timed(() => search(question, 'keyword')));
    taken.postings.push(await send(postings));
    taken.hybrid.push(await timed(() => search(question, 'hybrid')));
    taken.statements.push((await send(postings)) + (await tapped({ replay: 'hybrid' })).ms);
    taken.semantic.push(await timed(() => search(question, 'semantic')));
    taken.langchain.push(await send(langchainSearch(question)));
  }
  return Object.fromEntries(
    Object.entries(taken).map(([what, times]) => [what, { p50: quantile(times, 0.5), p95: quantile(times, 0.95) }]),
  );
}

/** The posting lists of a question's terms, all of them, as one statement. */
function postingFetch(indexId, segments, question) {
  const places = [...new Set(terms(question))].map(placeOf);
  const wanted = segments.flatMap(({ no, buckets }) =>
    [...new Set(places.map((place) => bucketOf(place, buckets)))].map((bucket) => [no, bucket]),
  );
  return {
    text: `select p.segment_no, p.bucket, encode(p.data, 'base64') as data from unnest($2::int[], $3::int[]) w(segment, bucket)
      join posting p on p.index_id = $1 and p.segment_no = w.segment and p.bucket = w.bucket`,
    values: [indexId, wanted.map(([segment]) => segment), wanted.map(([, bucket]) => bucket)],
  };
}

/** What PGVectorStore sends: dense only, nothing filtered, nobody refused. */
const langchainSearch = (/** @type {string} */ question) => ({
  text: `select *, embedding <=> $1 as "_distance" from ${langchainTable} order by "_distance" asc limit $2`,
  values: [vectorOf(question), topK],
});

// What is compared is what was found, not what is worth showing.
const asFound = { understand: false, dropDuplicates: false, perDocument: 0, rerank: false };

/**
 * How much of the exact best ten a caller gets who sees little, and whether it is ever fewer than there are.
 *
 * @param {Stage} stage
 * @param {string[]} questions
 * @param {{ group: string, share: number, sees: (number: number) => boolean }} who
 */
export async function filteredRecall(stage, questions, { group, share, sees }) {
  const { indexId, version } = await standing(stage);
  const seen = Array.from({ length: stage.documents() }, (_, number) => number)
    .filter(sees)
    .map(String);
  const exact = {
    text: `with permitted as materialized (select id, external_id from document where external_id = any($3::text[]))
      select p.external_id as document, c.start_offset as start from chunk c join permitted p on p.id = c.document_id
        join chunk_vector v on v.index_id = ${indexId} and v.chunk_id = c.id
      where c.index_id = ${indexId} and c.visible @> $1::int order by v.embedding::vector <=> $2::vector, c.id limit ${topK}`,
  };
  const caller = await stage.callerOf(group);
  let found = 0;
  let there = 0;
  let short = 0;
  for (const query of questions) {
    const { rows } = await stage.tapped({ statements: [{ ...exact, values: [version, vectorOf(query), seen] }] });
    const { results } = await caller.post(`${stage.base}/search`, { query, mode: 'semantic', topK, rank: asFound });
    const best = new Set(rows.map(({ document, start }) => `${document} ${start}`));
    found += results.filter(({ document, start }) => best.has(`${document.externalId} ${start}`)).length;
    there += best.size;
    if (results.length < best.size) short++;
  }
  return {
    share,
    passages: Math.round((seen.length / stage.documents()) * stage.passages()),
    recall: there === 0 ? 0 : found / there,
    short,
    questions: questions.length,
  };
}
