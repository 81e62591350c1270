import { withPlainYears } from '../knowledge/years.js';

/** What a question says beyond its words, told without a model. */
export interface Understanding {
  /** The question as it is searched: years in plain digits too. */
  spelled: string;
  /** What stands in quotation marks, folded. */
  phrases: string[];
  /** Names and codes that are written in one way only (`ERR_CONN_RESET`, `ORA-00942`, `v1.2.3`), folded. */
  identifiers: string[];
}

/** What literals are looked for in. */
export interface LiteralPlace {
  title: string;
  section: string[];
  text: string;
}

const mostLiterals = 8;

// Nothing but what opens and closes as a quotation does: the marks of inches stand behind a number.
const quoted =
  /„([^“”„]+)[“”]|“([^”“]+)”|«([^»«]+)»|「([^」]+)」|『([^』]+)』|(?<!\S)[^\p{L}\p{N}\s]*?"(?=\S)([^"]+)(?<=\S)"/gu;

const unspaced = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u;
const wordLike = /[\p{L}\p{N}_]/u;

/** One spelling for what only differs in case, spaces and the width of letters. */
const folded = (text: string): string => text.normalize('NFKC').toLowerCase().replaceAll(/\s+/gu, ' ').trim();

export function understand(question: string): Understanding {
  const phrases = [...question.matchAll(quoted)]
    .map(([, ...groups]) => folded(groups.find((group) => group !== undefined) ?? '').replace(/[.,;:!?]+$/u, ''))
    .filter((phrase) => /[\p{L}\p{N}]/u.test(phrase));
  const identifiers = question
    .normalize('NFKC')
    .split(/[\s,;()[\]{}<>"“”„«»「」]+/u)
    .map((word) => word.replace(/^['’`*#@$]+/u, '').replace(/['’`*.:!?]+$/u, ''))
    .filter(isIdentifier)
    .map(folded);
  return {
    spelled: withPlainYears(question),
    phrases: [...new Set(phrases)].slice(0, mostLiterals),
    identifiers: [...new Set(identifiers)].slice(0, mostLiterals),
  };
}

/** The question as words alone. */
export const asWordsAlone = (question: string): Understanding => ({ spelled: question, phrases: [], identifiers: [] });

// Shapes that are no words in any language. What people write as a matter of course is none of them: years and quarters,
// 10-K, COVID-19, companies such as PepsiCo, addresses of sites. A page would not speak of them because it names them.
const shapes = [
  /^0x[\da-f]{3,}$/iu,
  /^v\d+(?:\.\d+)+(?:[-+][\w.]+)?$/iu,
  /^\d+(?:\.\d+){2,}(?:[-+][\w.]+)?$/u,
  /^[\p{L}_][\p{L}\p{N}]*(?:_[\p{L}\p{N}]+)+$/u,
  /^\p{L}[\p{L}\p{N}_]+(?:\.\p{L}[\p{L}\p{N}_]+)+$/u,
  /^\p{Ll}{2,}(?:\p{Lu}\p{Ll}+)+$/u,
  /^(?:\p{Lu}\p{Ll}+){3,}$/u,
];
const site = /\.(?:com|org|net|gov|edu)$/iu;
const joined = /^[\p{L}\p{N}]+(?:[-/:#.][\p{L}\p{N}]+)+$/u;
const plainYear = /(?<!\p{N})(?:19|20)\p{N}{2}(?!\p{N})/gu;

const digits = (text: string): number => text.replaceAll(/\P{N}/gu, '').length;

function isIdentifier(word: string): boolean {
  if (shapes.some((shape) => shape.test(word))) return !site.test(word);
  const beyondYears = digits(word.replaceAll(plainYear, ''));
  // ORA-00942, CVE-2021-44228, SKU-4711-B; written small only with as many digits as no word carries.
  if (joined.test(word) && /\p{L}/u.test(word)) {
    return digits(word) >= 3 && beyondYears >= (/\p{Lu}/u.test(word) ? 2 : 4) && !/\d(?:s|th|st|nd|rd)$/u.test(word);
  }
  // KB5005565, E4012
  return /^\p{L}+\p{N}[\p{L}\p{N}]*$/u.test(word) && word.length >= 5 && beyondYears >= 3;
}

/**
 * The share, 0 to 1, of a question's phrases and identifiers that a passage holds as they are written; null when it has
 * none. A phrase stands in the text; an identifier may be what the document or the section is called.
 */
export function literalShare(
  { phrases, identifiers }: Understanding,
  { title, section, text }: LiteralPlace,
): number | null {
  const all = phrases.length + identifiers.length;
  if (all === 0) return null;
  const said = folded(text);
  const named = identifiers.length === 0 ? '' : folded([title, ...section, text].join('\n'));
  const held =
    phrases.filter((phrase) => stands(said, phrase, wordLike)).length +
    identifiers.filter((identifier) => stands(named, identifier, wordLike, /^[-.]\p{N}/u, /\p{N}[-.]$/u)).length;
  return held / all;
}

/** Whether the literal stands there by itself: not within a longer word, and not with anything at its ends that would make it another. */
function stands(text: string, literal: string, word: RegExp, after = /(?!)/u, before = /(?!)/u): boolean {
  const bordered = (character: string | undefined) =>
    character !== undefined && word.test(character) && !unspaced.test(character);
  const [first, last] = [literal[0], literal.at(-1)];
  for (let at = text.indexOf(literal); at >= 0; at = text.indexOf(literal, at + 1)) {
    const end = at + literal.length;
    const within = (bordered(first) && at > 0 && bordered(text[at - 1])) || (bordered(last) && bordered(text[end]));
    if (!within && !after.test(text.slice(end, end + 2)) && !before.test(text.slice(Math.max(0, at - 2), at)))
      return true;
  }
  return false;
}
