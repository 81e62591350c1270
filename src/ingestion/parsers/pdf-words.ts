import type { PdfLine } from './pdf-lines.js';

/** The words of a document that stand whole on a line, and those that it writes with a hyphen; in small letters. */
export interface Vocabulary {
  whole: ReadonlySet<string>;
  hyphenated: ReadonlySet<string>;
}

/** What hyphens at line ends are judged by. Halves of words that are broken over a line are no words. */
export function vocabularyOf(lines: readonly PdfLine[]): Vocabulary {
  const whole = new Set<string>();
  const hyphenated = new Set<string>();
  let broken = false;
  for (const { text } of lines) {
    const lower = text.toLowerCase();
    const from = broken ? /^\p{L}*/u.exec(lower)![0].length : 0;
    broken = /\p{L}[-\u00ad\u2010]$/u.test(lower);
    const to = broken ? lower.search(/\p{L}+[-\u00ad\u2010]$/u) : lower.length;
    for (const [word] of lower.slice(from, to).matchAll(/\p{L}+(?:[-\u2010]\p{L}+)*/gu)) {
      if (/[-\u2010]/.test(word)) hyphenated.add(word.replaceAll('\u2010', '-'));
      else whole.add(word);
    }
  }
  return { whole, hyphenated };
}

// A paragraph is not searched from its beginning for every line of it.
const longestWord = 60;

/** Lines as running text: broken words are made whole, others parted by a space where the script has spaces. */
export function joinLines(lines: readonly PdfLine[], known: Vocabulary): string {
  let text = '';
  for (const line of lines) {
    const left = /(\p{L}{2,})[-\u00ad\u2010]$/u.exec(text.slice(-longestWord))?.[1];
    const right = /^\p{Ll}+/u.exec(line.text)?.[0];
    if (left && right) text = (isSoft(text, left, right, known) ? text.slice(0, -1) : text) + line.text;
    else text += (text === '' || isSpaceless(text, line.text) ? '' : ' ') + line.text;
  }
  return text;
}

/**
 * "extrac-" and "tion" are one word, "long-" and "term" are two: by how the document writes them elsewhere, and else by
 * whether both halves are words of their own.
 */
function isSoft(text: string, left: string, right: string, { whole, hyphenated }: Vocabulary): boolean {
  if (text.endsWith('\u00ad')) return true;
  const [first, second] = [left.toLowerCase(), right.toLowerCase()];
  if (whole.has(first + second)) return true;
  if (hyphenated.has(`${first}-${second}`)) return false;
  return !(whole.has(first) && whole.has(second));
}

/** Chinese, Japanese and Thai lines continue without a space. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\u3000-\u303f\uff00-\uffef]/u;

const isSpaceless = (left: string, right: string): boolean =>
  UNSPACED.test(left.slice(-1)) && UNSPACED.test(right[0] ?? '');
