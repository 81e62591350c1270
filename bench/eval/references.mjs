// What others measured on the collections of ../shared/data, and the goals of this project, to stand beside our figures.
// Each figure is nDCG@10 unless it says otherwise.

/**
 * @typedef {{ name: string, value: number | string }} Reference
 * @typedef {{ published: Reference[], goals: { measure: string, mode: string, least: number }[] }} Marks
 */

/** By the name of the collection's folder. @type {Record<string, Marks>} */
export const rankingMarks = {
  scifact: {
    published: [
      { name: 'BM25, Anserini, flat (published)', value: 0.679 },
      { name: "BM25 over PostgreSQL's english lexemes", value: '.689-.692' },
      { name: 'with title x3 and character 4-grams (prototype)', value: 0.705 },
      { name: 'SPLADE-v3 (published)', value: 0.714 },
      { name: 'hosted file-search services (published)', value: '.71-.72' },
      { name: 'BGE-base (published)', value: 0.741 },
      { name: 'BM25 + BGE-base (published)', value: 0.747 },
    ],
    goals: [{ measure: 'ndcg10', mode: 'hybrid', least: 0.7 }],
  },
  cranfield: {
    published: [
      { name: 'BM25, sources left in', value: 0.383 },
      { name: 'BM25, sources taken out', value: 0.44 },
      { name: 'with title x3 and character 4-grams (prototype), sources left in', value: 0.392 },
    ],
    goals: [{ measure: 'ndcg10', mode: 'hybrid', least: 0.39 }],
  },
  time: {
    published: [
      { name: 'BM25', value: 0.754 },
      { name: 'with title x3 and character 4-grams (prototype)', value: 0.761 },
    ],
    goals: [{ measure: 'ndcg10', mode: 'hybrid', least: 0.758 }],
  },
};

/** For every collection: how far one system may stay below another, in nDCG@10. */
export const neverBelow = [
  { one: 'hybrid', other: 'plain BM25', by: 0 },
  { one: 'keyword', other: 'plain BM25', by: 0 },
  { one: 'hybrid', other: 'keyword', by: 0.003 },
];

/** Chroma's chunking evaluation, five chunks retrieved, in per cent: recall, precision, IoU. */
export const chunkingMarks = {
  published: [
    { name: 'recursive 400, text-embedding-3-large (Chroma)', values: [89.5, 3.6, 3.6] },
    { name: 'recursive 200, text-embedding-3-large (Chroma)', values: [88.1, 7.0, 6.9] },
    { name: 'GPT-4o chunker, text-embedding-3-large (Chroma)', values: [91.9, 3.9, 3.9] },
    { name: 'BM25 on plain 1,600-character windows', values: [92.4, 3.1, 3.1] },
    { name: 'BM25 on plain 800-character windows', values: [83.3, 5.5, 5.5] },
  ],
  goals: { recall: 0.92, iou: 0.045 },
};

/** FinanceBench, 18 filings in one base: the share of questions with the right one in the top 10. */
export const financeMarks = {
  published: [
    { name: 'BM25 over bare pages', filing: 0.88, page: 0.3, pageFilingKnown: null },
    { name: 'BM25 over pages with company, year and form', filing: 0.94, page: 0.47, pageFilingKnown: null },
    { name: 'BM25 over bare pages of the right filing', filing: null, page: null, pageFilingKnown: 0.58 },
  ],
  goals: { filing: 0.95, page: 0.48, pageFilingKnown: 0.58 },
};
