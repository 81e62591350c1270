import { Injectable } from '@nestjs/common';
import { chunkId } from '../knowledge/chunks.js';
import type { Transaction } from '../platform/database.js';
import type { AskedTerm } from './asked-terms.js';
import { contextWeight, type LexicalHit } from './best-passages.js';
import { scaled } from './fusion.js';
import { Letters } from './letters.js';
import { lexicalSearch } from './lexical.js';
import { PostingCache } from './posting-cache.js';
import type { Permitted } from './permitted.js';
import type { AskedPassages, PermittedRun } from './permitted-passages.js';

// How many of the best by words are looked at letter by letter, and how much that counts (measured, nDCG@10: SciFact .692
// to .702, TIME .752 to .757, Cranfield level; at .3 a fraction more there, and a filing in thirty less).
const rescored = 200;
const gramWeight = 0.25;

/** A passage by its words and its letters; `score` is the leg's own. */
export interface LexicalPassage extends Pick<LexicalHit, 'passage' | 'document' | 'coverage' | 'context' | 'score'> {
  grams: number;
  /** What the score is the sum of. */
  parts: { words: number; characters: number; context: number };
}

/** The lexical leg: BM25, of which the best are rescored by their letters and by what their document is about. */
@Injectable()
export class LexicalLeg {
  /** Ids follow from the runs, by a hash that takes longer to make than a passage takes to score. */
  private readonly ids = new WeakMap<PermittedRun, string[]>();

  constructor(
    private readonly postings: PostingCache,
    private readonly letters: Letters,
  ) {}

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
    const ids = found.map(({ run, ordinal }) => this.idOf(run, ordinal));
    const grams = await this.letters.compare(tx, permitted, what.passages, question, ids);
    const [byWords, byGrams] = [scaled(found.map(({ score }) => score)), scaled(grams)];
    const hits = new Map<string, LexicalPassage>();
    found.forEach(({ passage, document, coverage, context, score }, at) => {
      const own = grams[at] ?? 0;
      const parts = {
        words: (1 - gramWeight) * byWords(score),
        characters: gramWeight * byGrams(own),
        context: contextWeight * context,
      };
      const sum = parts.words + parts.characters + parts.context;
      hits.set(ids[at] ?? '', { passage, document, coverage, context, grams: own, parts, score: sum });
    });
    return hits;
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
