import type { Tiktoken, TiktokenBPE } from 'js-tiktoken/lite';

/** How a model cuts text into what it reads. */
export interface Tokens {
  /** Whether it is the model's own way, and no guess at it. */
  readonly exact: boolean;
  /** How many there are; of a text in parts the sum is the same or a little more. */
  count(text: string): number;
  /** @returns how many UTF-16 code units of a text are `limit` tokens or less together; one at least, unless it is empty */
  reach(text: string, limit: number): number;
}

/** What a model reads at once: the whole of a passage and its context has to fit. */
export interface Reading {
  tokens: Tokens;
  maxTokens: number;
}

/** Whether a model takes a text. No token is less than a byte, so that most texts need not be counted. */
export const fits = ({ tokens, maxTokens }: Reading, text: string): boolean =>
  Buffer.byteLength(text) <= maxTokens || tokens.count(text) <= maxTokens;

/** For a model without tokens of its own: one is four characters, as in English. */
export const quarters: Tokens = {
  exact: false,
  count: (text) => text.length / 4,
  reach: (_text, limit) => Math.max(1, Math.floor(limit * 4)),
};

// A model's own way is only known of OpenAI's. Others are read by their letters, and rather too high than too low: in
// English prose 1.1 to 1.3 times as many as cl100k_base has, in Chinese and Thai 1.2, in tables of figures as many.
const estimatedUnit = /[A-Z]?[a-z]+|[A-Z]+|\d+|[\p{L}\p{M}]+|\s+|[^]/gu;
const unspaced = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}]/u;

export const estimated: Tokens = byUnits(false, estimatedUnit, (unit) => {
  const { length } = unit;
  if (/^[A-Z]?[a-z]/.test(unit)) return Math.ceil(length / 6);
  if (/^[A-Z\d]/.test(unit)) return Math.ceil(length / 3);
  if (/^\s/.test(unit)) return unit === ' ' ? 0 : 1;
  if (/^[\p{L}\p{M}]/u.test(unit)) return Math.ceil(length * (unspaced.test(unit) ? 1.2 : 0.75));
  return length === 1 && unit <= '~' ? 1.1 : length + 1;
});

// OpenAI's models of today; a name may say before a slash who serves them.
const cl100kModel = /(?:^|\/)text-embedding-(?:3-|ada-002)/;

/** @param maxTokens 0: what OpenAI's models take, or of another model what most take */
export async function readingOf(model: string, maxTokens: number): Promise<Reading> {
  return cl100kModel.test(model)
    ? { maxTokens: maxTokens || 8191, tokens: await cl100k() }
    : { maxTokens: maxTokens || 512, tokens: estimated };
}

let loaded: Promise<Tokens> | null = null;

/** OpenAI's cl100k_base, exactly. Loaded when first asked for: its 100,000 entries take half a second and 60 MB. */
export function cl100k(): Promise<Tokens> {
  loaded ??= Promise.all([import('js-tiktoken/lite'), import('js-tiktoken/ranks/cl100k_base')]).then(
    ([library, ranks]) => exact(new library.Tiktoken(ranks.default), ranks.default),
  );
  return loaded;
}

const mostKnown = 100_000;

/**
 * The encoder is handed a word at a time, and each word once: whole texts take it 1.2 s for a million characters, words
 * that were counted before 0.04 s. Its own pattern says what a word is, so that the sum is the same.
 */
function exact(encoder: Tiktoken, { pat_str: pattern }: TiktokenBPE): Tokens {
  const known = new Map<string, number>();
  return byUnits(true, new RegExp(pattern, 'gu'), (unit) => {
    let count = known.get(unit);
    if (count === undefined) {
      if (known.size >= mostKnown) known.clear();
      known.set(unit, (count = encoder.encode(unit, [], []).length));
    }
    return count;
  });
}

// The encoder's time for a word grows with the square of its length: a long one is counted in parts.
const longestUnit = 64;

function byUnits(isExact: boolean, pattern: RegExp, weigh: (unit: string) => number): Tokens {
  function* units(text: string): Generator<{ at: number; unit: string }> {
    for (const { 0: whole, index } of text.matchAll(pattern)) {
      for (let from = 0; from < whole.length; from += longestUnit) {
        yield { at: index + from, unit: whole.length <= longestUnit ? whole : whole.slice(from, from + longestUnit) };
      }
    }
  }
  return {
    exact: isExact,
    count(text) {
      let sum = 0;
      for (const { unit } of units(text)) sum += weigh(unit);
      return sum;
    },
    reach(text, limit) {
      let sum = 0;
      for (const { at, unit } of units(text)) {
        sum += weigh(unit);
        if (sum <= limit) continue;
        if (at > 0) return at;
        let { length } = unit;
        while (length > 1 && weigh(unit.slice(0, length)) > limit) length >>= 1;
        return length;
      }
      return text.length;
    },
  };
}
