import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { chunkId } from '../knowledge/chunks.js';
import type { Transaction } from '../platform/database.js';
import { type GramProfile, gramProfile, gramScores, type GramStatistics, gramStatistics } from './characters.js';
import type { Permitted } from './permitted.js';
import type { PermittedPassages } from './permitted-passages.js';

// Passages from which the grams' rarity is read. With 200 of its 1,590, nDCG@10 of TIME was .753 or .759 as chance would
// have it; with 500 .757 to .761, with 1,000 .758 or .760, with all of them .759.
const sampleSize = 2000;

// Some 12,000 passages. A title may change, and a deleted text is gone from everywhere within a minute.
const maxBytes = 64 * 1024 * 1024;
const keptMs = 30_000;

/** How alike a question and passages are letter by letter: typos, compounds and other forms of a word have most in common. */
@Injectable()
export class Letters {
  /** Whoever may see the same passages has the same statistics, and nobody else. */
  private readonly statistics = new WeakMap<PermittedPassages, GramStatistics>();

  /**
   * By index and chunk id, which another index has for another cut. What was read for one caller is looked up for another
   * only among what that one may see.
   */
  private readonly profiles = new LRUCache<string, GramProfile>({
    maxSize: maxBytes,
    sizeCalculation: ({ grams, counts }) => grams.byteLength + counts.byteLength + 200,
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
    const profiles = await this.profilesOf(tx, permitted, [...ids, ...(known ? [] : sampleOf(passages))]);
    const statistics = known ?? gramStatistics(profiles.slice(ids.length));
    if (!known) this.statistics.set(passages, statistics);
    return [...gramScores(question, profiles.slice(0, ids.length), statistics)];
  }

  /** @returns in order; of a passage that is gone, an empty one */
  private async profilesOf(tx: Transaction, permitted: Permitted, ids: readonly string[]): Promise<GramProfile[]> {
    const keyOf = (id: string) => `${permitted.indexId} ${id}`;
    const profiles = ids.map((id) => this.profiles.get(keyOf(id)));
    const missing = ids.filter((_, at) => !profiles[at]);
    const texts = await readTexts(tx, permitted, missing);
    const read = new Map([...texts].map(([id, text]) => [id, gramProfile(text)]));
    for (const [id, profile] of read) this.profiles.set(keyOf(id), profile);
    return ids.map((id, at) => profiles[at] ?? read.get(id) ?? nothing);
  }
}

const nothing = gramProfile('');

/**
 * Passages drawn by chance, but the same ones as long as they are there: when a version changes some of many, hardly any
 * has to be read anew.
 */
function sampleOf({ segments, count }: PermittedPassages): string[] {
  const share = (sampleSize / count) * 2 ** 32;
  const ids: string[] = [];
  for (const { runs } of segments)
    for (const { revisionId, chunks } of runs) {
      const seed = Number.parseInt(revisionId.slice(-8), 16);
      for (let ordinal = 0; ordinal < chunks; ordinal++)
        if (scattered(seed + ordinal) < share) ids.push(chunkId(revisionId, ordinal));
    }
  return ids;
}

/** A number from 0 to 2^32 that follows from another and does not look like it (the last steps of MurmurHash3). */
function scattered(number: number): number {
  let hash = Math.imul(number ^ (number >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** What is compared letter by letter, of those that the caller may see. */
async function readTexts(tx: Transaction, permitted: Permitted, ids: readonly string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map();
  const parameters = [...permitted.parameters];
  const wanted = `$${parameters.push(ids)}::uuid[]`;
  const rows = await tx.rows<{ id: string; words: string }>(
    `select c.id, concat_ws(E'\\n', d.title, array_to_string(c.section, E'\\n'), c.lead, c.text) as words
     from chunk c join document d on d.id = c.document_id
     where c.index_id = ${permitted.indexId} and c.id = any(${wanted}) and c.visible @> ${permitted.version} and ${permitted.condition}`,
    parameters,
  );
  return new Map(rows.map(({ id, words }) => [id, words]));
}
