import { Injectable } from '@nestjs/common';
import { chunkId } from '../knowledge/chunks.js';
import type { Transaction } from '../platform/database.js';
import type { AskedTerm } from './asked-terms.js';
import { contextWeight, type LexicalHit } from './best-passages.js';
import { gramScores, type GramStatistics, gramStatistics } from './characters.js';
import { scaled } from './fusion.js';
import { lexicalSearch } from './lexical.js';
import { PostingCache } from './posting-cache.js';
import type { Permitted } from './permitted.js';
import type { AskedPassages, PermittedPassages, PermittedRun } from './permitted-passages.js';

// How many of the best by words are looked at letter by letter, and how much that counts (measured, nDCG@10: SciFact .692
// to .702, TIME .752 to .757, Cranfield level; at .3 a fraction more there, and a filing in thirty less).
const rescored = 200;
const gramWeight = 0.25;

// Passages from which the grams' rarity is read. With 200, nDCG@10 of TIME was .753 or .759 as chance would have it; with
// this many .759 and .761.
const sampleSize = 500;

/** A passage by its words and its letters; `score` is the leg's own. */
export interface LexicalPassage extends Pick<LexicalHit, 'passage' | 'document' | 'coverage' | 'context' | 'score'> {
  grams: number;
  /** What the score is the sum of. */
  parts: { words: number; characters: number; context: number };
}

/** The lexical leg: BM25, of which the best are rescored by their letters and by what their document is about. */
@Injectable()
export class LexicalLeg {
  /** Whoever may see the same passages has the same statistics, and nobody else. */
  private readonly statistics = new WeakMap<PermittedPassages, GramStatistics>();

  /** Ids follow from the runs, by a hash that takes longer to make than a passage takes to score. */
  private readonly ids = new WeakMap<PermittedRun, string[]>();

  constructor(private readonly postings: PostingCache) {}

  /**
   * @param asked the question's searchable words, at least one
   * @returns by chunk id
   */
  async search(
    tx: Transaction,
    permitted: Permitted,
    what: AskedPassages,
    question: string,
    asked: readonly AskedTerm[],
  ): Promise<ReadonlyMap<string, LexicalPassage>> {
    const found = await lexicalSearch(tx, this.postings, permitted.indexId, what, asked, rescored);
    const known = this.statistics.get(what.passages);
    const sample = known ? [] : sampleOf(what.passages);
    const hits = found.map((hit) => ({ ...hit, id: this.idOf(hit.run, hit.ordinal) }));
    const texts = await readTexts(tx, permitted, [...hits.map(({ id }) => id), ...sample]);
    const statistics = known ?? gramStatistics(sample.flatMap((id) => texts.get(id) ?? []));
    if (!known) this.statistics.set(what.passages, statistics);
    const grams = gramScores(
      question,
      hits.map(({ id }) => texts.get(id) ?? ''),
      statistics,
    );
    const [byWords, byGrams] = [scaled(hits.map(({ score }) => score)), scaled(grams)];
    return new Map(
      hits.map(({ id, ...hit }, at) => {
        const own = grams[at] ?? 0;
        const parts = {
          words: (1 - gramWeight) * byWords(hit.score),
          characters: gramWeight * byGrams(own),
          context: contextWeight * hit.context,
        };
        return [id, { ...hit, grams: own, parts, score: parts.words + parts.characters + parts.context }];
      }),
    );
  }

  /** @returns the chunk ids of everything that holds a word of the question, best first by words: also what is not rescored */
  async everything(
    tx: Transaction,
    { indexId }: Permitted,
    what: AskedPassages,
    asked: readonly AskedTerm[],
  ): Promise<string[]> {
    const found = await lexicalSearch(tx, this.postings, indexId, what, asked, Infinity);
    return found.map(({ run, ordinal }) => this.idOf(run, ordinal));
  }

  private idOf(run: PermittedRun, ordinal: number): string {
    let known = this.ids.get(run);
    if (!known) this.ids.set(run, (known = []));
    return (known[ordinal] ??= chunkId(run.revisionId, ordinal));
  }
}

/** Passages at even distances among all that are permitted. */
function sampleOf({ segments, count }: PermittedPassages): string[] {
  const runs = segments.flatMap((segment) => segment.runs);
  const step = Math.max(1, count / sampleSize);
  const ids: string[] = [];
  let before = 0;
  let next = 0;
  for (const { revisionId, chunks } of runs) {
    for (; next < before + chunks; next += step) ids.push(chunkId(revisionId, Math.floor(next) - before));
    before += chunks;
  }
  return ids;
}

/** What is compared letter by letter, of those that the caller may see. */
async function readTexts(tx: Transaction, permitted: Permitted, ids: string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map();
  const parameters = [...permitted.parameters];
  const wanted = `$${parameters.push([...new Set(ids)])}::uuid[]`;
  const rows = await tx.rows<{ id: string; words: string }>(
    `select c.id, concat_ws(E'\\n', d.title, array_to_string(c.section, E'\\n'), c.lead, c.text) as words
     from chunk c join document d on d.id = c.document_id
     where c.index_id = ${permitted.indexId} and c.id = any(${wanted}) and c.visible @> ${permitted.version} and ${permitted.condition}`,
    parameters,
  );
  return new Map(rows.map(({ id, words }) => [id, words]));
}
