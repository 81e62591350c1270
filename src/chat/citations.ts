import { coverage, sentences, topic } from './evidence.js';
import type { PromptPassage } from './prompt.js';

export interface Citation {
  marker: number;
  documentId: string;
  revision: string;
  title: string;
  section: string[];
  page: number | null;
  sourceUrl: string | null;
  sourceUpdatedAt: Date | null;
  /** Stands at [start, end) of the revision's stored text, word for word. */
  quote: string;
  start: number;
  end: number;
}

const marker = /\s?\[(\d{1,3})\]/g;

/** Removes markers that were never handed out. */
export function dropUnknown(text: string, passages: readonly PromptPassage[]): string {
  return text.replaceAll(marker, (whole, number: string) =>
    passages.some((passage) => passage.marker === Number(number)) ? whole : '',
  );
}

/**
 * The citations of an answer whose unknown markers are gone: for each marker, the sentence of its passage that carries
 * the statement before it best. The quote is cut from the stored passage, never from the answer.
 */
export function cite(answer: string, passages: readonly PromptPassage[]): Citation[] {
  const found = new Map<string, Citation>();
  for (const match of answer.matchAll(marker)) {
    const passage = passages.find((candidate) => candidate.marker === Number(match[1]));
    if (!passage) continue;
    const said = answer.slice(statementStart(answer, match.index), match.index).replaceAll(marker, '');
    const citation = toCitation(passage, said);
    found.set(`${citation.marker} ${citation.start}`, citation);
  }
  return [...found.values()];
}

/** The answer without the statements that carry one of these markers. */
export function dropStatements(answer: string, markers: ReadonlySet<number>): string {
  let left = '';
  let from = 0;
  for (const match of answer.matchAll(marker)) {
    if (!markers.has(Number(match[1]))) continue;
    left += answer.slice(from, Math.max(from, statementStart(answer, match.index)));
    from = match.index + match[0].length;
  }
  return (left + answer.slice(from)).trim();
}

/** Where the statement that ends at `end` begins: after the markers before it, or at its line's start. Markers in a row share one. */
function statementStart(answer: string, end: number): number {
  const before = answer.slice(0, end).replace(/(\s?\[\d{1,3}\])+$/, '');
  const last = [...before.matchAll(marker)].at(-1);
  return Math.max(last ? last.index + last[0].length : 0, before.lastIndexOf('\n') + 1);
}

const oneLine = (text: string): string => text.replaceAll(marker, '').replaceAll(/\s+/g, ' ').trim();

function toCitation(passage: PromptPassage, statement: string): Citation {
  const { document, revision, section, page, text } = passage;
  const about = topic(statement);
  const candidates = sentences(text);
  const exact = candidates.find((sentence) => oneLine(statement) === oneLine(sentence.text));
  const best =
    exact ??
    candidates
      .map((sentence) => ({ ...sentence, held: coverage(about, sentence.text) }))
      .sort((a, b) => b.held - a.held)[0];
  const { start, end } = best ?? { start: 0, end: text.length };
  return {
    marker: passage.marker,
    documentId: document.id,
    revision,
    title: document.title,
    section,
    page,
    sourceUrl: document.sourceUrl,
    sourceUpdatedAt: document.sourceUpdatedAt,
    quote: text.slice(start, end),
    start: passage.start + start,
    end: passage.start + end,
  };
}

/**
 * What of a streamed answer may be shown already: nothing before the first marker that was handed out, so that an
 * uncited answer never appears; no marker that was not; no half of one.
 */
export class CitedStream {
  private held = '';
  private cited = false;

  constructor(private readonly passages: readonly PromptPassage[]) {}

  /** @returns the text that may be shown now, often empty */
  push(text: string): string {
    this.held += text;
    const cut = /\s?\[\d{0,3}$/.exec(this.held)?.index ?? this.held.length;
    const safe = dropUnknown(this.held.slice(0, cut), this.passages);
    this.cited ||= new RegExp(marker).test(safe);
    if (!this.cited) return '';
    this.held = this.held.slice(cut);
    return safe;
  }
}
