import { SimpleChatModel } from '@langchain/core/language_models/chat_models';
import type { BaseMessage } from '@langchain/core/messages';
import { terms } from '../knowledge/terms.js';
import { coverage, identifiers, type Sentence, sentences, topic } from './evidence.js';
import { notFoundToken, type PromptPassage, promptOf, type StructuredPrompt } from './prompt.js';

// Below this share of the question's words, the best passage is about something else.
const enough = 0.4;
const maxSentences = 3;

interface Candidate extends Sentence {
  passage: PromptPassage;
  score: number;
}

/**
 * The built-in answerer, behind LangChain's `BaseChatModel`: no language model, but the sentences of the passages that
 * speak most of what was asked, each with its marker. It answers when no chat model is configured, and when one fails.
 */
export class ExtractiveChatModel extends SimpleChatModel {
  constructor() {
    super({});
  }

  override _llmType(): string {
    return 'lectern-extractive';
  }

  override async _call(messages: BaseMessage[]): Promise<string> {
    return extract(promptOf(messages));
  }
}

/** @returns sentences with markers, or {@link notFoundToken} */
export function extract(prompt: StructuredPrompt): string {
  const about = topic(prompt.message);
  const texts = prompt.passages.map((passage) => [...context(passage), passage.text]);
  const best = Math.max(0, ...texts.map((text) => coverage(about, ...text)));
  const said = new Set(texts.flat().flatMap((text) => terms(text)));
  if (best < enough || identifiers(about).some((name) => !said.has(name))) return notFoundToken;
  const candidates = prompt.passages.flatMap((passage) => rated(passage, prompt.message));
  const chosen = pick(candidates);
  return chosen.length === 0
    ? notFoundToken
    : chosen.map(({ text, passage }) => `${plain(text)} [${passage.marker}]`).join('\n');
}

/** In one line, and without bracketed numbers of the source's own, which would read as markers of ours. */
const plain = (text: string): string => text.replaceAll(/\s?\[\d{1,3}\]/g, '').replaceAll(/\s+/g, ' ');

const context = ({ document, section, lead }: PromptPassage): string[] => [document.title, ...section, lead ?? ''];

/**
 * A sentence counts for what it says itself, and half for what its headings and neighbours say; passages that rank
 * higher are believed a little more.
 */
function rated(passage: PromptPassage, question: string): Candidate[] {
  const about = topic(question);
  const around = coverage(about, ...context(passage), passage.text);
  const wantsNumber = /\b(how (many|much|long|often|old|far)|when|what (year|date|amount|percentage))\b/i.test(
    question,
  );
  const all = sentences(passage.text);
  // A passage that goes on with a table begins with a row that is no head: its lead holds that.
  const lead = passage.lead?.includes(' | ') ? passage.lead : null;
  const tableHead = lead === null ? all.find(({ text }) => text.includes(' | ')) : undefined;
  return all
    .filter((sentence) => sentence !== tableHead || /\d/.test(sentence.text))
    .filter(({ text }) => !passage.section.includes(text) && (/\d/.test(text) || text.split(/\s+/).length >= 4))
    .map((sentence) => {
      // A row of a table says what its head says of each column.
      const head = sentence.text.includes(' | ') ? (lead ?? tableHead?.text ?? '') : '';
      const own = coverage(about, sentence.text, head);
      const number = /\d/.test(sentence.text) ? (wantsNumber ? 0.15 : 0.05) : 0;
      return { ...sentence, passage, score: own === 0 ? 0 : own + around / 2 + number - passage.marker * 0.02 };
    });
}

/** The best one, and others that are nearly as good and say something else. */
function pick(candidates: Candidate[]): Candidate[] {
  const inOrder = candidates.filter(({ score }) => score > 0).sort((a, b) => b.score - a.score);
  const [first] = inOrder;
  const chosen: Candidate[] = [];
  for (const candidate of inOrder) {
    if (!first || chosen.length === maxSentences || candidate.score < first.score * 0.85) break;
    if (!chosen.some(({ text }) => text === candidate.text)) chosen.push(candidate);
  }
  return chosen;
}
