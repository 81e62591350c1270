import { frequencies, termVector, terms } from '../knowledge/terms.js';

const k1 = 1.2;
const b = 0.75;

// A question longer than this is cut: each term costs one inner product a chunk.
const maxTerms = 32;

/** The pieces of the ranking statement that make up the lexical leg. */
export interface LexicalLeg {
  /** Columns `w1 … wn` for the select list over `document d`: how often each term occurs in its title. */
  titleColumns: string;
  /** Columns `t1 … tn` for the select list over `chunk c` and those: how often each term occurs in a passage. */
  columns: string;
  /** Columns for the aggregate over `passage`: the mean length and each term's idf. */
  totals: string;
  /** The BM25 score over `passage` with its `norm`, and `totals`. */
  score: string;
  /** The `norm` of a passage: what its length adds to each term's frequency in the denominator. */
  norm: string;
  /** The share, 0 to 1, of the question's weight (summed idf) that a passage holds. */
  coverage: string;
  /** Whether a passage holds any term at all. */
  matches: string;
}

/**
 * BM25 in SQL (Robertson and Zaragoza 2009, k1 1.2, b 0.75; idf = ln(1 + (N - df + .5) / (df + .5)), query term frequency
 * kept). Every statistic is taken, in the same statement, from the passages that the caller may see in this version: what
 * is hidden shows neither in a score nor in the order.
 *
 * Term frequencies stand in a `sparsevec`, and one inner product with a unit vector reads one. There is no GIN index to
 * find candidates by: row-level security keeps PostgreSQL from using one for a match operator that is not leakproof.
 * @param parameters the statement's parameters so far; one vector a term is appended
 * @returns null for a question without a searchable word
 */
export function lexicalLeg(question: string, parameters: unknown[]): LexicalLeg | null {
  const counts = [...frequencies(terms(question))].slice(0, maxTerms);
  if (counts.length === 0) return null;
  const numbered = counts.map(([term, count], index) => {
    const vector = `$${parameters.push(termVector(new Map([[term, 1]])))}::sparsevec`;
    return { name: `t${index + 1}`, title: `w${index + 1}`, idf: `idf${index + 1}`, vector, count };
  });
  const sum = (part: (term: (typeof numbered)[number]) => string) => numbered.map(part).join(' + ');
  return {
    titleColumns: numbered.map(({ title, vector }) => `-(d.title_terms <#> ${vector}) as ${title}`).join(', '),
    columns: numbered.map(({ name, title, vector }) => `p.${title} - (c.terms <#> ${vector}) as ${name}`).join(', '),
    totals: ['avg(length) as mean', ...numbered.map(({ name, idf }) => `${idfOf(name)} as ${idf}`)].join(', '),
    score: sum(({ name, idf, count }) => `${count} * ${idf} * ${name} * ${k1 + 1} / (${name} + norm)`),
    norm: `${k1} * (${1 - b} + ${b} * coalesce(length / nullif(mean, 0), 0))`,
    coverage: `(${sum(({ name, idf }) => `case when ${name} > 0 then ${idf} else 0 end`)}) / (${sum(({ idf }) => idf)})`,
    matches: numbered.map(({ name }) => `${name} > 0`).join(' or '),
  };
}

function idfOf(term: string): string {
  const df = `count(*) filter (where ${term} > 0)`;
  return `ln(1 + (count(*) - ${df} + 0.5::float8) / (${df} + 0.5::float8))`;
}
