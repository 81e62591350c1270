import type { BaseChatModel } from '@langchain/core/language_models/chat_models';
import type { GenerativeModel } from '../platform/models/chat-models.js';
import { type Citation, cite, dropUnknown } from './citations.js';
import { coverage, topic } from './evidence.js';
import { generate } from './generate.js';
import { notFoundToken, render, type StructuredPrompt } from './prompt.js';

export type Outcome = 'answered' | 'partial' | 'not_found';
export type Confidence = 'high' | 'medium' | 'low';

export interface Answer {
  answer: string;
  outcome: Outcome;
  mode: 'generated' | 'extractive';
  confidence: Confidence;
  citations: Citation[];
  usage: { inputTokens: number; outputTokens: number };
}

export interface Answerers {
  /** null: none is configured. */
  generative: GenerativeModel | null;
  extractive: BaseChatModel;
}

const notFoundAnswer = 'No answer to this was found in the documents you can see.';

/**
 * Passages to a cited answer: the chat model's, if there is one, it keeps to its time and it cites what it was given;
 * otherwise the extractive one's. What cannot be cited is not answered.
 * @param onDelta gets the answer piece by piece, only what is already known to be cited; `reset`: all before is void
 * @param onDegraded hears why the chat model's answer was not used
 */
export async function answer(
  prompt: StructuredPrompt,
  { generative, extractive }: Answerers,
  onDelta: (text: string, reset: boolean) => void,
  onDegraded: (reason: Error) => void,
  signal?: AbortSignal,
): Promise<Answer> {
  let shown = false;
  const show = (text: string): void => {
    shown = true;
    onDelta(text, false);
  };
  if (generative && prompt.passages.length > 0) {
    try {
      const said = await generate(prompt, generative, show, signal);
      const judged = judge(said.prompt, said.text, 'generated', said.usage);
      if (judged.citations.length === 0 && judged.outcome !== 'not_found')
        throw new Error('the chat model cited nothing that it was given');
      return judged;
    } catch (error) {
      if (signal?.aborted) throw error;
      onDegraded(error as Error);
    }
  }
  const reply = await extractive.invoke(render(prompt));
  const text = String(reply.content);
  if (text !== notFoundToken || shown) onDelta(text === notFoundToken ? notFoundAnswer : text, shown);
  return judge(prompt, text, 'extractive', { inputTokens: 0, outputTokens: 0 });
}

/** The answer where there is none. */
export function notFound(mode: Answer['mode'], usage: Answer['usage']): Answer {
  return { answer: notFoundAnswer, outcome: 'not_found', mode, confidence: 'low', citations: [], usage };
}

/** Checks the citations and says how well the answer stands. */
function judge(prompt: StructuredPrompt, text: string, mode: Answer['mode'], usage: Answer['usage']): Answer {
  if (text.trim() === notFoundToken) {
    return notFound(mode, usage);
  }
  const checked = dropUnknown(text, prompt.passages).trim();
  const citations = cite(checked, prompt.passages);
  const cited = prompt.passages.filter(({ marker }) => citations.some((citation) => citation.marker === marker));
  const about = topic(prompt.message);
  const held = Math.max(
    0,
    ...cited.map((passage) =>
      coverage(about, passage.document.title, ...passage.section, passage.lead ?? '', passage.text),
    ),
  );
  const confidence: Confidence = held >= 0.8 ? 'high' : held >= 0.6 ? 'medium' : 'low';
  return {
    answer: checked,
    outcome: confidence === 'low' ? 'partial' : 'answered',
    mode,
    confidence,
    citations,
    usage,
  };
}
