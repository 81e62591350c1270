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

/** In how many texts of a sample each character gram stands: what makes some of a question's grams telling. */
export interface GramStatistics {
  texts: number;
  /** By place. At most 255. */
  holding: Uint8Array;
}

/** @param texts some 100 to 500, drawn from all that may be found: the best alone would make what they share look common */
export function gramStatistics(texts: readonly string[]): GramStatistics {
  const holding = new Uint8Array(places);
  const seenIn = new Uint16Array(places);
  texts.forEach((text, at) => {
    forEachGram(text, (gram) => {
      const place = gram & (places - 1);
      if (seenIn[place] === at + 1) return;
      seenIn[place] = at + 1;
      holding[place] = Math.min(255, (holding[place] ?? 0) + 1);
    });
  });
  return { texts: texts.length, holding };
}

/**
 * BM25 over character grams in place of words: "organisation", "organizational" and a typo have most of theirs in common.
 * Four letters within a word and its borders; two characters of what is written without spaces.
 * @returns a score for each text, in order
 */
export function gramScores(question: string, texts: readonly string[], statistics: GramStatistics): number[] {
  const asked = new Map<number, number>();
  forEachGram(question, (gram) => void asked.set(gram, (asked.get(gram) ?? 0) + 1));
  const grams = [...asked.keys()];
  const index = new Map(grams.map((gram, at) => [gram, at]));
  // Most grams of a text are not asked for: a look at one byte tells.
  const maybe = new Uint8Array(1 << 16);
  for (const gram of grams) maybe[gram & 0xffff] = 1;
  const weights = grams.map((gram) => {
    const holding = statistics.holding[gram & (places - 1)] ?? 0;
    return (asked.get(gram) ?? 0) * Math.log(1 + (statistics.texts - holding + 0.5) / (holding + 0.5));
  });
  const counted = texts.map((text) => {
    const counts = new Float64Array(grams.length);
    let length = 0;
    forEachGram(text, (gram) => {
      length += 1;
      if (maybe[gram & 0xffff] === 0) return;
      const at = index.get(gram);
      if (at !== undefined) counts[at] = (counts[at] ?? 0) + 1;
    });
    return { counts, length };
  });
  const mean = counted.reduce((sum, { length }) => sum + length, 0) / texts.length || 1;
  return counted.map(({ counts, length }) => {
    const norm = k1 * (1 - b + (b * length) / mean);
    return counts.reduce((sum, count, at) => sum + ((weights[at] ?? 0) * (k1 + 1) * count) / (count + norm), 0);
  });
}

/** Calls `visit` with the hash (FNV-1a, 32 bits) of every gram. */
function forEachGram(text: string, visit: (gram: number) => void): void {
  const units = text.normalize('NFKC').toLowerCase();
  for (let start = 0; start < units.length;) {
    const kind = kinds[units.charCodeAt(start)];
    let end = start + 1;
    while (end < units.length && kinds[units.charCodeAt(end)] === kind) end += 1;
    if (kind === word) gramsOfWord(units, start, end, visit);
    else if (kind === unspaced) gramsOfRun(units, start, end, visit);
    start = end;
  }
}

/** The grams of a word between two spaces; a short word is one. */
function gramsOfWord(units: string, start: number, end: number, visit: (gram: number) => void): void {
  const at = (place: number) => (place < start || place >= end ? space : units.charCodeAt(place));
  const last = Math.max(start - 1, end + 1 - gramSize);
  for (let from = start - 1; from <= last; from++) {
    let hash = 0x811c9dc5;
    const to = Math.min(from + gramSize, end + 1);
    for (let place = from; place < to; place++) hash = Math.imul(hash ^ at(place), 0x01000193);
    visit(hash >>> 0);
  }
}

function gramsOfRun(units: string, start: number, end: number, visit: (gram: number) => void): void {
  const last = Math.max(start, end - unspacedGramSize);
  for (let from = start; from <= last; from++) {
    let hash = 0x811c9dc5;
    for (let place = from; place < Math.min(from + unspacedGramSize, end); place++)
      hash = Math.imul(hash ^ units.charCodeAt(place), 0x01000193);
    visit(hash >>> 0);
  }
}
