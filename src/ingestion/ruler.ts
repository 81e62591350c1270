import type { ChunkSizes } from '../knowledge/pipeline.js';

/** How large chunks become, and how large a text is, in the same unit. */
export interface Ruler {
  /** What chunks grow up to. */
  target: number;
  /** What no chunk is larger than. */
  max: number;
  size(text: string): number;
  /** @returns how many UTF-16 code units of the text are not larger than `limit` together; one at least */
  reach(text: string, limit: number): number;
}

/** @throws RangeError unless the sizes are positive */
export function rulerOf({ targetChars, maxChars }: ChunkSizes): Ruler {
  const ruler = {
    target: Math.min(targetChars, maxChars),
    max: maxChars,
    size: (text: string) => text.length,
    reach: (_text: string, limit: number) => Math.max(1, Math.floor(limit)),
  };
  if (!(ruler.target >= 1)) throw new RangeError(`chunk sizes must be positive: ${targetChars}, ${maxChars}`);
  return ruler;
}
