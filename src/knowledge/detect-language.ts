// Pieces at even distances: the detector reads 350 bytes of a text and no more.
const pieceLength = 350;
const mostPieces = 5;

// Fewer letters say nothing: of pieces of English abstracts, those of 40 characters were taken for another language in 1 % of
// cases, those of 100 in 2 of 9,564; of tables, those with more figures than words.
const leastBytes = 80;
const besideLetters = /[^\p{L}\p{M}]+/gu;

/**
 * The language that most of a text is in, told from a few pieces of it however long it is (60 microseconds each). The
 * detector's data are loaded at the first call: 1 MB, 200 to 400 ms, 30 MB of memory.
 * @returns an ISO 639-1 code; null when nothing is sure
 */
export async function detectLanguage(text: string): Promise<string | null> {
  const pieces = piecesOf(text).filter((piece) => Buffer.byteLength(piece.replaceAll(besideLetters, '')) >= leastBytes);
  if (pieces.length === 0) return null;
  const { eld } = await import('eld/extrasmall');
  const votes = new Map<string, number>();
  for (const piece of pieces) {
    const told = eld.detect(piece);
    if (told.isReliable()) votes.set(told.language, (votes.get(told.language) ?? 0) + 1);
  }
  const [best] = [...votes].sort(([, one], [, other]) => other - one);
  return best !== undefined && best[1] * 2 > pieces.length ? best[0] : null;
}

function piecesOf(text: string): string[] {
  if (text.length <= 2 * pieceLength) return [text];
  const count = Math.min(mostPieces, Math.floor(text.length / pieceLength));
  const step = (text.length - pieceLength) / (count - 1);
  return Array.from({ length: count }, (_, at) => {
    const start = Math.round(at * step);
    return text.slice(start, start + pieceLength);
  });
}
