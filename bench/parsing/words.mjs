// How much of one text is found in another: its words, and their order.

/** Marks of Markdown and HTML that are no words: comments, tags, link and picture targets, escapes, fences, entities. */
export function withoutMarks(/** @type {string} */ marked) {
  return marked
    .replace(/<!--[\s\S]*?-->/g, ' ')
    .replace(/^\s*(```|~~~).*$/gm, ' ')
    .replace(/!?\[([^\]]*)\]\((?:[^()\s]|\([^()]*\))*(?:\s+"[^"]*")?\)/g, '$1')
    .replace(/<\/?[a-z][^<>]*>/gi, ' ')
    .replace(/\\([\\`*_{}[\]()#+\-.!|~<>&])/g, '$1')
    .replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .replace(/&quot;/g, '"')
    .replace(/&#0?39;/g, "'")
    .replace(/&amp;/g, '&');
}

const SINGLE = '[\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}]';
const WORD = new RegExp(`${SINGLE}|(?!${SINGLE})[\\p{L}\\p{N}](?:(?!${SINGLE})[\\p{L}\\p{M}\\p{N}])*`, 'gu');

/** Letters and figures, case-folded; Chinese, Japanese and Thai one letter at a time. */
export const wordsOf = (/** @type {string} */ text) => text.normalize('NFKC').toLowerCase().match(WORD) ?? [];

/**
 * Recall: the share of the truth's words, each counted as often as it stands there, that the text has. Order: of the words
 * found, the share that is found in the truth's order (longest common subsequence). Both 0 to 1.
 * @param {readonly string[]} truth @param {readonly string[]} found
 */
export function compare(truth, found) {
  const left = new Map();
  for (const word of found) left.set(word, (left.get(word) ?? 0) + 1);
  let matched = 0;
  const missing = [];
  for (const word of truth) {
    const count = left.get(word) ?? 0;
    if (count > 0) {
      matched += 1;
      left.set(word, count - 1);
    } else missing.push(word);
  }
  return {
    recall: truth.length === 0 ? 1 : matched / truth.length,
    order: matched === 0 ? 0 : commonInOrder(truth, found) / matched,
    missing,
  };
}

/** Length of the longest common subsequence, in two rows of memory. @param {readonly string[]} a @param {readonly string[]} b */
function commonInOrder(a, b) {
  const numbers = new Map();
  const number = (/** @type {string} */ word) => {
    if (!numbers.has(word)) numbers.set(word, numbers.size);
    return numbers.get(word);
  };
  const left = Uint32Array.from(a, number);
  const right = Uint32Array.from(b, number);
  let above = new Uint32Array(right.length + 1);
  let row = new Uint32Array(right.length + 1);
  for (const word of left) {
    for (let at = 0; at < right.length; at += 1)
      row[at + 1] = right[at] === word ? (above[at] ?? 0) + 1 : Math.max(above[at + 1] ?? 0, row[at] ?? 0);
    [above, row] = [row, above];
  }
  return above[right.length] ?? 0;
}
