import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { chunkId } from '../knowledge/chunks.js';
import type { Transaction } from '../platform/database.js';
import { contextWeight, type LexicalHit } from './best-passages.js';
import type { ScoredSegment } from './bm25.js';
import { gramScores, type GramStatistics, gramStatistics } from './characters.js';
import { scaled } from './fusion.js';
import { lexicalSearch } from './lexical.js';
import { PostingCache } from './posting-cache.js';
import type { Permitted } from './ranking.js';

// How many of the best by words are looked at letter by letter, and how much that counts (measured, nDCG@10: SciFact .692
// to .702, TIME .752 to .757, Cranfield level; at .3 a fraction more there, and a filing in thirty less).
const rescored = 200;
const gramWeight = 0.25;

// Passages from which the grams' rarity is read: 100 and 500 did as well.
const sampleSize = 200;

/** A passage by its words and its letters; `score` is the leg's own. */
export interface LexicalPassage extends Pick<LexicalHit, 'passage' | 'document' | 'coverage' | 'context' | 'score'> {
  grams: number;
  /** What the score is the sum of. */
  parts: { words: number; characters: number; context: number };
}

/** The lexical leg: BM25, of which the best are rescored by their letters and by what their document is about. */
@Injectable()
export class LexicalLeg {
  /** By all that was permitted: whoever may see the same has the same, and nobody else. */
  private readonly statistics = new LRUCache<string, GramStatistics>({ max: 32 });

  constructor(private readonly postings: PostingCache) {}

  /** @returns by chunk id; null for a question without a searchable word */
  async search(
    tx: Transaction,
    permitted: Permitted,
    question: string,
  ): Promise<ReadonlyMap<string, LexicalPassage> | null> {
    const found = await lexicalSearch(tx, this.postings, permitted, question, rescored);
    if (found === null) return null;
    const { segments } = found;
    const key = keyOf(permitted, segments);
    const known = this.statistics.get(key);
    const sample = known ? [] : sampleOf(segments);
    const hits = found.hits.map((hit) => ({ ...hit, id: chunkId(hit.revisionId, hit.ordinal) }));
    const texts = await readTexts(tx, permitted, [...hits.map(({ id }) => id), ...sample]);
    const statistics = known ?? gramStatistics(sample.flatMap((id) => texts.get(id) ?? []));
    if (!known) this.statistics.set(key, statistics);
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
  async everything(tx: Transaction, permitted: Permitted, question: string): Promise<string[]> {
    const found = await lexicalSearch(tx, this.postings, permitted, question, Infinity);
    return found?.hits.map(({ revisionId, ordinal }) => chunkId(revisionId, ordinal)) ?? [];
  }
}

/** Names exactly this set of passages. */
function keyOf({ indexId }: Permitted, segments: ScoredSegment[]): string {
  const hash = createHash('sha256');
  for (const { runs } of segments) for (const { revisionId, chunks } of runs) hash.update(`${revisionId}${chunks}`);
  return `${indexId}:${hash.digest('base64')}`;
}

/** Passages at even distances among all that are permitted. */
function sampleOf(segments: ScoredSegment[]): string[] {
  const runs = segments.flatMap((segment) => segment.runs);
  const passages = runs.reduce((sum, { chunks }) => sum + chunks, 0);
  const step = Math.max(1, passages / sampleSize);
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
    `select c.id, concat_ws(E'\\n', d.title, array_to_string(c.section, E'\\n'), c.text) as words
     from chunk c join document d on d.id = c.document_id
     where c.index_id = ${permitted.indexId} and c.id = any(${wanted}) and c.visible @> ${permitted.version} and ${permitted.condition}`,
    parameters,
  );
  return new Map(rows.map(({ id, words }) => [id, words]));
}
