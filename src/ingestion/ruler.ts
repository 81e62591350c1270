import type { ChunkSizes } from '../knowledge/pipeline.js';
import type { Reading, Tokens } from '../platform/models/tokens.js';

/** How large chunks become, and how large a text is, in the same unit. */
export interface Ruler {
  /** What chunks grow up to. */
  target: number;
  /** What no chunk is larger than. */
  max: number;
  /** Of a text in parts the sum is the same or a little more. */
  size(text: string): number;
  /** @returns how many UTF-16 code units of the text are not larger than `limit` together; one at least */
  reach(text: string, limit: number): number;
}

// Of what a model reads at once. The rest is for headings and table headers, of which as much is embedded as there is room.
const textShare = 0.75;

// More bytes than this a UTF-16 code unit never is, and no token is less than a byte.
const mostTokensPerChar = 3;

/** @throws RangeError unless the sizes are positive */
export function rulerOf(sizes: ChunkSizes, { tokens, maxTokens }: Reading): Ruler {
  const room = maxTokens * textShare;
  const ruler =
    'maxTokens' in sizes
      ? { ...upTo(sizes.targetTokens, Math.min(sizes.maxTokens, room)), size: tokens.count, reach: tokens.reach }
      : inCharacters(upTo(sizes.targetChars, sizes.maxChars), tokens, room);
  if (!(ruler.target > 0)) throw new RangeError(`chunk sizes must be positive: ${JSON.stringify(sizes)}`);
  return ruler;
}

const upTo = (target: number, max: number) => ({ target: Math.min(target, max), max });

const wholeChars = (limit: number): number => Math.max(1, Math.floor(limit));

/** Text with more tokens than the model takes in so many characters counts as so much longer. */
function inCharacters(sizes: { target: number; max: number }, tokens: Tokens, room: number): Ruler {
  if (sizes.max * mostTokensPerChar <= room) {
    return { ...sizes, size: (text) => text.length, reach: (_text, limit) => wholeChars(limit) };
  }
  const charsPerToken = sizes.max / room;
  return {
    ...sizes,
    size: (text) => Math.max(text.length, tokens.count(text) * charsPerToken),
    reach: (text, limit) => Math.min(wholeChars(limit), tokens.reach(text, limit / charsPerToken)),
  };
}
