import type { AIMessageChunk } from '@langchain/core/messages';
import type { GenerativeModel } from '../platform/models/chat-models.js';
import { ProviderFailure } from '../platform/models/provider-failure.js';
import { WellFormedStream } from '../platform/text.js';
import { CitedStream } from './citations.js';
import { render, type StructuredPrompt } from './prompt.js';

/** What a chat model said to a prompt. */
export interface Generated {
  /** The prompt that it answered: the one it was to answer, or one with fewer passages. */
  prompt: StructuredPrompt;
  text: string;
  usage: { inputTokens: number; outputTokens: number };
}

/**
 * Asks the chat model. A failure that may pass is tried once more, at once, but only before its first word: what it began
 * to say was paid for. A request that it does not take, as too long, is made once again with half of the passages.
 * @param onDelta gets the text piece by piece, only what is already known to be cited
 * @throws Error when there is no whole answer
 */
export async function generate(
  prompt: StructuredPrompt,
  generative: GenerativeModel,
  onDelta: (text: string) => void,
  left?: AbortSignal,
): Promise<Generated> {
  try {
    return await ask(prompt, generative, onDelta, left);
  } catch (error) {
    const { passages } = prompt;
    if (passages.length < 2 || !(error instanceof ProviderFailure) || error.kind !== 'input') throw error;
    const fewer = passages.slice(0, Math.ceil(passages.length / 2));
    return ask({ ...prompt, passages: fewer }, generative, onDelta, left);
  }
}

function ask(
  prompt: StructuredPrompt,
  { model, provider, timeoutMs, silenceMs }: GenerativeModel,
  onDelta: (text: string) => void,
  left?: AbortSignal,
): Promise<Generated> {
  const begun = performance.now();
  let spoke = false;
  // After a silence the time is better spent on the extractive answer: a person is waiting.
  const mayRepeat = () => !spoke && performance.now() - begun < silenceMs;
  const patience = { totalMs: timeoutMs, tries: 2, pauseMs: 250, longestPauseMs: 1000, mayRepeat };
  return provider.call(
    async (signal) => {
      const shown = new CitedStream(prompt.passages);
      const wellFormed = new WellFormedStream();
      const usage = { inputTokens: 0, outputTokens: 0 };
      let text = '';
      let ending: unknown;
      for await (const part of speaking(
        (whole) => model.stream(render(prompt), { signal: whole }),
        silenceMs,
        signal,
      )) {
        const said = wellFormed.push(part.text);
        spoke ||= said !== '';
        text += said;
        usage.inputTokens += part.usage_metadata?.input_tokens ?? 0;
        usage.outputTokens += part.usage_metadata?.output_tokens ?? 0;
        ending = part.response_metadata['finish_reason'] ?? ending;
        const delta = shown.push(said);
        if (delta !== '') onDelta(delta);
      }
      checkWhole(text, ending);
      return { prompt, text, usage };
    },
    patience,
    left,
  );
}

type Parts = AsyncIterable<AIMessageChunk>;

/** What the model says, ended by an error once it has been silent for too long, before its first word or between two. */
async function* speaking(open: (signal: AbortSignal) => Promise<Parts>, silenceMs: number, signal: AbortSignal): Parts {
  const silent = new AbortController();
  const timer = setTimeout(() => silent.abort(), silenceMs);
  try {
    for await (const part of await open(AbortSignal.any([signal, silent.signal]))) {
      // Some clients end an aborted stream as if it were complete.
      if (silent.signal.aborted) break;
      signal.throwIfAborted();
      timer.refresh();
      yield part;
    }
    signal.throwIfAborted();
  } catch (error) {
    if (!silent.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
  if (silent.signal.aborted) throw new ProviderFailure('passing', `it said nothing for ${silenceMs} ms`);
}

/** An answer that broke off, or that somebody's filter cut, is not one, however it begins. @throws ProviderFailure */
function checkWhole(text: string, ending: unknown): void {
  if (ending === 'content_filter') throw new ProviderFailure('answer', 'its content filter held the answer back');
  if (ending === undefined) throw new ProviderFailure('passing', 'the answer broke off');
  if (text.trim() === '') throw new ProviderFailure('answer', 'the answer is empty');
}
