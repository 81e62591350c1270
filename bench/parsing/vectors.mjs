// markitdown's vectors, for a reader that gives text instead of Markdown.
import { withoutMarks } from './words.mjs';

/** What cannot be asked of text, by the reason; null where it can. */
function beside(/** @type {string} */ wanted) {
  if (wanted.startsWith('data:')) return 'the bytes of a picture: text has none';
  if (wanted.startsWith('](')) return "a link's target: text keeps what a link says";
  if (/^(\|\s*-+\s*)+\|$|^```\w*$/.test(wanted)) return 'a mark of Markdown without words';
  return null;
}

const oneLine = (/** @type {string} */ text) => text.replace(/\s+/g, ' ').trim();

/** The words of a Markdown string as they stand in a text: no marks of headings, lists, quotes, links, cells, emphasis. */
export const asText = (/** @type {string} */ markdown) =>
  oneLine(
    withoutMarks(markdown)
      .replace(/^(#{1,6}|[*>-])\s+/, '')
      .replace(/^\|\s*|\s*\|$/g, '')
      .replace(/!?\[([^\]]*)\]/g, '$1')
      .replace(/\*+([^*]+)\*+/g, '$1'),
  );

/**
 * @param {{must_include: string[], must_not_include: string[]}} vector
 * @param {string} text what the reader made of the file
 */
export function checkVector(vector, text) {
  const plain = oneLine(text);
  const result = { passed: 0, failed: /** @type {string[]} */ ([]), skipped: /** @type {string[]} */ ([]) };
  for (const wanted of vector.must_include) {
    const reason = beside(wanted);
    if (reason) result.skipped.push(`${wanted} (${reason})`);
    else if (plain.includes(asText(wanted))) result.passed += 1;
    else result.failed.push(`missing: ${wanted}`);
  }
  for (const unwanted of vector.must_not_include) {
    if (plain.includes(oneLine(unwanted))) result.failed.push(`present: ${unwanted}`);
    else result.passed += 1;
  }
  return result;
}
