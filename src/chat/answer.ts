import type { BaseChatModel } from '@langchain/core/language_models/chat_models';
import { type Citation, cite, CitedStream, dropUnknown } from './citations.js';
import { coverage, topic } from './evidence.js';
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
  generative: BaseChatModel | null;
  extractive: BaseChatModel;
  /** How long the generative one may take, in ms. */
  timeoutMs: number;
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
  { generative, extractive, timeoutMs }: Answerers,
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
      const limit = AbortSignal.timeout(timeoutMs);
      return await generate(prompt, generative, show, signal ? AbortSignal.any([limit, signal]) : limit);
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

async function generate(
  prompt: StructuredPrompt,
  model: BaseChatModel,
  onDelta: (text: string) => void,
  signal: AbortSignal,
): Promise<Answer> {
  const shown = new CitedStream(prompt.passages);
  const usage = { inputTokens: 0, outputTokens: 0 };
  let whole = '';
  for await (const part of await model.stream(render(prompt), { signal })) {
    // Some clients end an aborted stream as if it were complete.
    signal.throwIfAborted();
    whole += part.text;
    usage.inputTokens += part.usage_metadata?.input_tokens ?? 0;
    usage.outputTokens += part.usage_metadata?.output_tokens ?? 0;
    const delta = shown.push(part.text);
    if (delta !== '') onDelta(delta);
  }
  signal.throwIfAborted();
  if (whole.trim() === '') throw new Error('the chat model gave an empty answer');
  const judged = judge(prompt, whole, 'generated', usage);
  if (judged.citations.length === 0 && judged.outcome !== 'not_found')
    throw new Error('the chat model cited nothing that it was given');
  return judged;
}

/** Checks the citations and says how well the answer stands. */
function judge(prompt: StructuredPrompt, text: string, mode: Answer['mode'], usage: Answer['usage']): Answer {
  if (text.trim() === notFoundToken) {
    return { answer: notFoundAnswer, outcome: 'not_found', mode, confidence: 'low', citations: [], usage };
  }
  const checked = dropUnknown(text, prompt.passages).trim();
  const citations = cite(checked, prompt.passages);
  const cited = prompt.passages.filter(({ marker }) => citations.some((citation) => citation.marker === marker));
  const about = topic(prompt.message);
  const held = Math.max(
    0,
    ...cited.map((passage) => coverage(about, passage.document.title, ...passage.section, passage.text)),
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
