import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { evenly, readLines } from './collection.mjs';
import { compare } from './compare.mjs';
import { mean } from './measures.mjs';
import { financeMarks } from './references.mjs';
import { askAll, fillBase } from './service.mjs';

const topK = 10;
const forms = { '10k': '10-K', '10q': '10-Q', '8k': '8-K', earnings: 'Earnings release' };

/**
 * Questions over financial filings: `pdfs.jsonl` (doc, company, doc_type, doc_period), `pdfs/<doc>.pdf` and
 * `questions.jsonl` (question, doc_name, evidence with pages counted from 0). All filings stand in one base; a question
 * is asked of all of them, and of the right one alone.
 *
 * @param {{ client: import('../../samples/demo/client.mjs').Client, engine: string }} service
 * @param {string} folder
 * @param {{ modes: string[], limit?: number }} options
 */
export async function evaluateFinance({ client, engine }, folder, { modes, limit }) {
  const filings = (await readLines(join(folder, 'pdfs.jsonl'))).map((line) => JSON.parse(line));
  const questions = evenly((await readLines(join(folder, 'questions.jsonl'))).map(asQuestion), limit ?? Infinity);
  const { base, model, loading } = await fillBase(
    client,
    'financebench',
    filings.map((filing) => asUpload(folder, filing)),
  );
  const pages = await storedPages(client, base);
  const runs = [];
  for (const mode of modes) {
    const all = await askAll(client, base, questions, mode, { topK });
    const known = await askAll(client, base, questions, mode, { topK, filter: itsFiling });
    const each = questions.map((question, at) => ({
      question: question.id,
      filing: question.filing,
      filingRank: rankOf(all.answers[at], ({ document }) => document.externalId === question.filing),
      pageRank: rankOf(all.answers[at], (result) => showsEvidence(question, result, pages)),
      pageRankFilingKnown: rankOf(known.answers[at], (result) => showsEvidence(question, result, pages)),
    }));
    runs.push({ mode, ...shares(each), msEach: all.msEach, each });
  }
  return {
    kind: 'financebench',
    collection: 'financebench',
    at: new Date().toISOString(),
    service: { engine, embeddings: model },
    corpus: { documents: filings.length, pages: filings.reduce((sum, filing) => sum + filing.pages, 0) },
    questions: questions.length,
    loading,
    convention: 'a page counts as found when one of the first 10 passages begins, ends or passes on any evidence page',
    runs,
    comparisons: comparisons(runs),
    marks: financeMarks,
    goals: limit === undefined ? goalsOf(runs) : [],
  };
}

const itsFiling = (/** @type {Asked} */ { filing }) => ({ field: 'externalId', eq: filing });

/** @typedef {{ id: string, text: string, filing: string, evidence: number[] }} Asked `evidence`: pages, counted from 1 */

/** @param {string} line @returns {Asked} */
function asQuestion(line) {
  const { id, question, doc_name: filing, evidence } = JSON.parse(line);
  return { id, text: question, filing, evidence: evidence.map(({ page }) => page + 1) };
}

/** What whoever files such documents knows of them without reading. */
function asUpload(folder, { doc, company, doc_type: type, doc_period: period }) {
  const form = forms[type.toLowerCase()] ?? type;
  return {
    externalId: doc,
    title: `${company} ${form} ${period}`,
    metadata: { company, form, period },
    file: pathToFileURL(resolve(folder, 'pdfs', `${doc}.pdf`)),
  };
}

/** By filing, the pages of its stored text: a passage may stand on several. */
async function storedPages(client, base) {
  const { data } = await client.get(`${base}/documents?limit=100`);
  /** @type {Map<string, { page: number, start: number, end: number }[]>} */
  const pages = new Map();
  for (const { id, externalId, status } of data) {
    if (status !== 'ready') continue;
    pages.set(externalId, (await client.get(`${base}/documents/${id}/content`)).pages);
  }
  return pages;
}

/** @param {Asked} question */
function showsEvidence({ filing, evidence }, { document, start, end }, pages) {
  if (document.externalId !== filing) return false;
  const shown = (pages.get(filing) ?? []).filter((page) => page.start < end && start < page.end);
  return shown.some(({ page }) => evidence.includes(page));
}

/** @returns {number | null} from 1 */
function rankOf(results, holds) {
  const at = results.findIndex(holds);
  return at < 0 ? null : at + 1;
}

const found = (/** @type {number | null} */ rank) => (rank === null ? 0 : 1);

function shares(each) {
  return {
    filing: mean(each.map(({ filingRank }) => found(filingRank))),
    page: mean(each.map(({ pageRank }) => found(pageRank))),
    pageFilingKnown: mean(each.map(({ pageRankFilingKnown }) => found(pageRankFilingKnown))),
  };
}

const pageHits = ({ each }) => each.map(({ pageRank }) => found(pageRank));

function comparisons(runs) {
  return runs.flatMap((one, at) =>
    runs.slice(0, at).map((other) => ({
      one: one.mode,
      other: other.mode,
      measure: 'page in the top 10',
      ...compare(pageHits(one), pageHits(other)),
    })),
  );
}

const names = { filing: 'right filing', page: 'right page', pageFilingKnown: 'right page, filing known' };

function goalsOf(runs) {
  const run = runs.find(({ mode }) => mode === 'hybrid');
  if (!run) return [];
  return Object.entries(financeMarks.goals).map(([measure, least]) => ({
    goal: `hybrid: ${names[measure]} in the top 10 for at least ${(100 * least).toFixed(0)} %`,
    least,
    value: run[measure],
    met: run[measure] >= least,
  }));
}
