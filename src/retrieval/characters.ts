const k1 = 1.2;
const b = 0.75;

const gramSize = 4;
// Of scripts that are written without spaces, a pair of characters says what four letters do.
const unspacedGramSize = 2;
const space = 0x20;

// Grams are counted by hash, in so many places: of the 15,000 or so of a sample, one in twenty shares its place.
const places = 1 << 18;

const word = 1;
const unspaced = 2;

// By code unit (lower case), coarsely and fast: a regular expression for each word took longer than everything else.
const kinds = Uint8Array.from({ length: 1 << 16 }, (_, unit) => {
  if (unit < 0x80) return (unit >= 0x61 && unit <= 0x7a) || (unit >= 0x30 && unit <= 0x39) ? word : 0;
  if (unit < 0xc0) return unit === 0xaa || unit === 0xb5 || unit === 0xba ? word : 0;
  if (unit >= 0x0e00 && unit <= 0x0eff) return unspaced; // Thai, Lao
  if ((unit >= 0x1000 && unit <= 0x109f) || (unit >= 0x1780 && unit <= 0x17ff)) return unspaced; // Burmese, Khmer
  if (unit >= 0x2000 && unit <= 0x2bff) return 0; // punctuation, arrows, symbols
  if (unit >= 0x3000 && unit <= 0x303f) return 0; // punctuation of Chinese and Japanese
  return unit >= 0x3040 && unit <= 0x9fff ? unspaced : word; // kana and Han
});

/** The grams of a text, counted: what is compared of it, whatever is asked. */
export interface GramProfile {
  /** How many, repeated ones included. */
  length: number;
  /** An open hash table: the grams' hashes, */
  grams: Uint32Array;
  /** and how often it stands in the text, at most 255; 0: free. */
  counts: Uint8Array;
}

let scratch = new Uint32Array(4096);

export function gramProfile(text: string): GramProfile {
  let length = 0;
  forEachGram(text, (gram) => {
    if (length === scratch.length) {
      const larger = new Uint32Array(2 * length);
      larger.set(scratch);
      scratch = larger;
    }
    scratch[length++] = gram;
  });
  // A fifth stays free at least, so that looking for what is not there ends soon.
  const size = 2 ** Math.ceil(Math.log2(1.25 * length + 1));
  const profile = { length, grams: new Uint32Array(size), counts: new Uint8Array(size) };
  for (let at = 0; at < length; at++) {
    const gram = scratch[at] ?? 0;
    const place = placeIn(profile, gram);
    profile.grams[place] = gram;
    profile.counts[place] = Math.min(255, (profile.counts[place] ?? 0) + 1);
  }
  return profile;
}

/** Where a gram stands, or would stand. */
function placeIn({ grams, counts }: GramProfile, gram: number): number {
  const last = grams.length - 1;
  let place = gram & last;
  while (counts[place] !== 0 && grams[place] !== gram) place = (place + 1) & last;
  return place;
}

/** In how many texts of a sample each character gram stands: what makes some of a question's grams telling. */
export interface GramStatistics {
  texts: number;
  /** By place. */
  holding: Uint16Array;
}

/** @param texts some 100 to 1,000, drawn from all that may be found: the best alone would make what they share look common */
export function gramStatistics(texts: readonly GramProfile[]): GramStatistics {
  const holding = new Uint16Array(places);
  for (const { grams, counts } of texts)
    for (let at = 0; at < grams.length; at++) {
      if (counts[at] === 0) continue;
      const place = (grams[at] ?? 0) & (places - 1);
      holding[place] = (holding[place] ?? 0) + 1;
    }
  return { texts: texts.length, holding };
}

/**
 * BM25 over character grams in place of words: "organisation", "organizational" and a typo have most of theirs in common.
 * Four letters within a word and its borders; two characters of what is written without spaces.
 * @returns a score for each profile, in order
 */
export function gramScores(
  question: string,
  profiles: readonly GramProfile[],
  statistics: GramStatistics,
): Float64Array {
  const asked = new Map<number, number>();
  forEachGram(question, (gram) => void asked.set(gram, (asked.get(gram) ?? 0) + 1));
  const grams = Uint32Array.from(asked.keys());
  const weights = Float64Array.from(asked, ([gram, count]) => {
    const holding = statistics.holding[gram & (places - 1)] ?? 0;
    return (k1 + 1) * count * Math.log(1 + (statistics.texts - holding + 0.5) / (holding + 0.5));
  });
  const mean = profiles.reduce((sum, { length }) => sum + length, 0) / profiles.length || 1;
  return Float64Array.from(profiles, (profile) => {
    const norm = k1 * (1 - b + (b * profile.length) / mean);
    let score = 0;
    for (let at = 0; at < grams.length; at++) {
      const count = profile.counts[placeIn(profile, grams[at] ?? 0)] ?? 0;
      if (count > 0) score += ((weights[at] ?? 0) * count) / (count + norm);
    }
    return score;
  });
}

/** Calls `visit` with the hash (FNV-1a, 32 bits) of every gram. */
function forEachGram(text: string, visit: (gram: number) => void): void {
  const units = text.normalize('NFKC').toLowerCase();
  forEachRun(units, (start, end, kind) => (kind === word ? gramsOfWord : gramsOfRun)(units, start, end, visit));
}

/** The hash (FNV-1a, 32 bits) of each word of a text, in order; a character of what is written without spaces is a word. */
export function wordHashes(text: string): number[] {
  const units = text.normalize('NFKC').toLowerCase();
  const hashes: number[] = [];
  forEachRun(units, (start, end, kind) => {
    const length = kind === word ? end - start : 1;
    for (let from = start; from < end; from += length) hashes.push(hashOf(units, from, from + length));
  });
  return hashes;
}

/** Words, and stretches of what is written without spaces. */
function forEachRun(units: string, visit: (start: number, end: number, kind: number) => void): void {
  for (let start = 0; start < units.length;) {
    const kind = kinds[units.charCodeAt(start)] ?? 0;
    let end = start + 1;
    while (end < units.length && kinds[units.charCodeAt(end)] === kind) end += 1;
    if (kind !== 0) visit(start, end, kind);
    start = end;
  }
}

/** The grams of a word between two spaces; a short word is one. */
function gramsOfWord(units: string, start: number, end: number, visit: (gram: number) => void): void {
  const at = (place: number) => (place < start || place >= end ? space : units.charCodeAt(place));
  const last = Math.max(start - 1, end + 1 - gramSize);
  for (let from = start - 1; from <= last; from++) {
    let hash = fnvBasis;
    const to = Math.min(from + gramSize, end + 1);
    for (let place = from; place < to; place++) hash = Math.imul(hash ^ at(place), fnvPrime);
    visit(hash >>> 0);
  }
}

function gramsOfRun(units: string, start: number, end: number, visit: (gram: number) => void): void {
  const last = Math.max(start, end - unspacedGramSize);
  for (let from = start; from <= last; from++) visit(hashOf(units, from, Math.min(from + unspacedGramSize, end)));
}

const fnvBasis = 0x811c9dc5;
const fnvPrime = 0x01000193;

/** FNV-1a of these code units, 32 bits. */
function hashOf(units: string, from: number, to: number): number {
  let hash = fnvBasis;
  for (let place = from; place < to; place++) hash = Math.imul(hash ^ units.charCodeAt(place), fnvPrime);
  return hash >>> 0;
}
