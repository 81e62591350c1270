import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { chunkId } from '../knowledge/chunks.js';
import type { Transaction } from '../platform/database.js';
import { type GramProfile, gramProfile, gramScores, type GramStatistics, gramStatistics } from './characters.js';
import type { Permitted } from './permitted.js';
import type { PermittedPassages } from './permitted-passages.js';

// Passages from which the grams' rarity is read. With 200, nDCG@10 of TIME was .753 or .759 as chance would have it; with
// this many .759 and .761.
const sampleSize = 500;

// Some 15,000 passages. A title may change, and a deleted text is gone from everywhere within a minute.
const maxBytes = 64 * 1024 * 1024;
const keptMs = 30_000;

/** How alike a question and passages are letter by letter: typos, compounds and other forms of a word have most in common. */
@Injectable()
export class Letters {
  /** Whoever may see the same passages has the same statistics, and nobody else. */
  private readonly statistics = new WeakMap<PermittedPassages, GramStatistics>();

  /** By chunk id. What was read for one caller is looked up for another only among what that one may see. */
  private readonly profiles = new LRUCache<string, GramProfile>({
    maxSize: maxBytes,
    sizeCalculation: ({ tags, counts }) => tags.byteLength + counts.byteLength + 200,
    ttl: keptMs,
  });

  /** Entries whose time is over hold memory, and words, until somebody asks for them: this lets them go. */
  forgetOld(): void {
    this.profiles.purgeStale();
  }

  /**
   * @param ids some of the `passages`
   * @returns a score for each of them, in order; a passage that is gone has 0
   */
  async compare(
    tx: Transaction,
    permitted: Permitted,
    passages: PermittedPassages,
    question: string,
    ids: readonly string[],
  ): Promise<number[]> {
    const known = this.statistics.get(passages);
    const sample = known ? [] : sampleOf(passages);
    const profiles = new Map(ids.map((id) => [id, this.profiles.get(id)]));
    const missing = ids.filter((id) => profiles.get(id) === undefined);
    const texts = await readTexts(tx, permitted, [...missing, ...sample]);
    const statistics = known ?? gramStatistics(sample.flatMap((id) => texts.get(id) ?? []));
    if (!known) this.statistics.set(passages, statistics);
    for (const id of missing) {
      const text = texts.get(id);
      const profile = gramProfile(text ?? '');
      profiles.set(id, profile);
      if (text !== undefined) this.profiles.set(id, profile);
    }
    const compared = ids.map((id) => profiles.get(id) ?? gramProfile(''));
    return [...gramScores(question, compared, statistics)];
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
