/** `[start, end)` in the text. `size`: how much more there is with it than without. */
interface Sized {
  start: number;
  end: number;
  size: number;
  /** A paragraph, an item or the like begins with it. */
  opens: boolean;
}

// In targets. A stretch is as long at least, and twice as long on average. Measured on texts of 300 to 430 chunks without a
// heading: where all paragraphs are of one length, one less changes 6 to 8 chunks on average and 21 at most, instead of all
// that follow; in prose 2, and 7 at most. A new place to cut parts what answers a question now and then: recall in Chroma's
// evaluation, asked of its own corpus and of all, was 93.9 and 92.5 % without stretches, 93.6 and 91.4 % with 5 and 93.3 and
// 91.2 % with 4, as means over three and four ways to choose the places, which differ by a point.
const reach = 5;

// In targets. To embed all of what follows an edit anew costs little in a text of fewer chunks, and each place to cut costs
// recall (TIME, whose longest articles are of 20: .756 with, .759 without).
const least = 40;

/**
 * Parts what is longer than some dozens of chunks at places that its own words choose, and packing begins anew at each: or one line
 * more at the beginning would move every boundary behind it, and all of it would be embedded again. Such a place is where
 * a piece begins whose hash is greater than that of every piece around it: an edit moves only places that are near. Linear.
 */
export function* stretchesOf<T extends Sized>(text: string, pieces: readonly T[], target: number): Generator<T[]> {
  let from = 0;
  for (const at of peaks(text, pieces, target)) {
    yield pieces.slice(from, at);
    from = at;
  }
  yield pieces.slice(from);
}

/** The pieces with a greater hash than whatever else stands within reach before or behind where they begin. */
function* peaks(text: string, pieces: readonly Sized[], target: number): Generator<number> {
  const around = reach * target;
  const begins = [0];
  for (const { size } of pieces) begins.push(begins.at(-1)! + size);
  const whole = begins.at(-1)!;
  if (whole < least * target) return;
  const rivals = rivalsOf(pieces.map((piece, at) => standing(text, pieces[at - 1] ?? piece, piece)));
  for (const [at, { before, after }] of rivals.entries()) {
    const place = begins[at]!;
    const free = before === null ? place : place - begins[before + 1]!;
    if (free >= around && begins[after ?? pieces.length]! - place >= around) yield at;
  }
}

interface Rivals {
  before: number | null;
  after: number | null;
}

/** For each number where the nearest one stands, before it and behind it, that is as great or greater. */
function rivalsOf(hashes: readonly number[]): Rivals[] {
  const rivals: Rivals[] = hashes.map(() => ({ before: null, after: null }));
  // Those with none behind them so far, each smaller than the one under it.
  const open: number[] = [];
  for (const [at, hash] of hashes.entries()) {
    while (open.length > 0 && hashes[open.at(-1)!]! < hash) rivals[open.pop()!]!.after = at;
    const before = open.at(-1) ?? null;
    rivals[at]!.before = before;
    if (before !== null && hashes[before] === hash) rivals[open.pop()!]!.after = at;
    open.push(at);
  }
  return rivals;
}

/** Where paragraphs begin is chosen first: to part sentences is to part an answer more often. */
const standing = (text: string, before: Sized, piece: Sized): number =>
  hashOf(text, before, piece) + (piece.opens ? 2 ** 32 : 0);

/** FNV-1a, but for where it begins, of a piece and the one before it: what is said often, such as "Yes.", seldom stands behind the same. */
function hashOf(text: string, before: Sized, { end }: Sized): number {
  let hash = 0x9e3779b9;
  for (let at = before.start; at < end; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  // Its last characters have reached the low bits only: the greatest would be told by the first ones.
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}
