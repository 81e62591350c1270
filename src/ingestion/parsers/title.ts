import { oneLine } from './text-builder.js';

const MEANINGLESS = /^(untitled|unnamed|title|new document|(document|presentation|slide|sheet|book|page)?\s*\d*)$/i;
const MADE_BY_A_PROGRAM =
  /^(microsoft (word|powerpoint|excel|office)\b|powerpoint presentation$|[a-z]:\\|\/|file:|about:)/i;
const FILE_NAME = /^\S+\.(docx?|dotx?|pdf|rtf|odt|tex|dvi|indd|qxd|pptx?|xlsx?|html?|txt|md|pages|fm|ps|eps|p65|tmp)$/i;

/**
 * The title that a document's properties claim, or null when a program filled it in: "Microsoft Word - draft3.doc",
 * "untitled", a file name, a bare number. A heading, or the file's own name, says more than those.
 */
export function meaningfulTitle(raw: unknown): string | null {
  if (typeof raw !== 'string') return null;
  const title = oneLine(raw).slice(0, 300).trim();
  if (title.length < 3 || MEANINGLESS.test(title) || MADE_BY_A_PROGRAM.test(title) || FILE_NAME.test(title))
    return null;
  // Filing numbers and scanner stamps: letters are what make a title readable.
  const letters = title.match(/\p{L}/gu)?.length ?? 0;
  return letters * 2 < title.replace(/\s/g, '').length ? null : title;
}
