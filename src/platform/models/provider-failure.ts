import { ContextOverflowError } from '@langchain/core/errors';
import { parseRetryAfterMs } from '@langchain/core/utils/async_caller';
import { OpenAIClient } from '@langchain/openai';

/**
 * What a provider's failure asks for. `passing`: the same request may succeed later. `input`: this request is not taken,
 * another may be. `answer`: what came cannot be used. `refused`: nothing is given until somebody mends the settings.
 */
export type FailureKind = 'passing' | 'input' | 'answer' | 'refused';

/**
 * What came from a model's provider instead of an answer. `message` names statuses and codes only: what providers write
 * into their errors may repeat the text they were sent, and errors are logged.
 */
export class ProviderFailure extends Error {
  override readonly name = 'ProviderFailure';

  /** @param retryAfterMs when the provider says it may be asked again, in ms from now; null: it did not say */
  constructor(
    readonly kind: FailureKind,
    message: string,
    readonly retryAfterMs: number | null = null,
  ) {
    super(message);
  }
}

/** Asked again they may be answered; any other refusal stands until the request or the settings change. */
const passingStatus = (status: number): boolean => [408, 409, 425, 429].includes(status) || status >= 500;

/** @returns null for an error that does not come from a provider, such as a mistake of our own */
export function failureOf(error: unknown): ProviderFailure | null {
  const chain = causes(error);
  // Innermost first where it is ours: the client library wraps what our own fetch throws as if the network had failed.
  const ours = chain.find((cause) => cause instanceof ProviderFailure);
  if (ours) return ours;
  if (chain.some((cause) => ContextOverflowError.isInstance(cause))) {
    return new ProviderFailure('input', 'the request is longer than the model takes');
  }
  for (const cause of chain) {
    const { status } = cause as { status?: unknown };
    if (typeof status === 'number') return ofStatus(status, cause);
  }
  for (const cause of chain) {
    if (cause instanceof SyntaxError) return new ProviderFailure('passing', 'the answer is not JSON');
    if (cause.name === 'TimeoutError') return new ProviderFailure('passing', 'there was no answer in time');
  }
  // Without a status: the connection, or an error in the middle of a stream.
  if (chain.some((cause) => cause instanceof OpenAIClient.APIError || broken(cause))) {
    return new ProviderFailure('passing', `the connection failed${codeOf(chain)}`);
  }
  return null;
}

function ofStatus(status: number, error: Error): ProviderFailure {
  const message = `it answered ${status}${codeOf([error])}`;
  if (passingStatus(status)) {
    const { headers } = error as { headers?: { get?: (name: string) => string | null } };
    return new ProviderFailure('passing', message, parseRetryAfterMs(headers?.get?.('retry-after')) ?? null);
  }
  return new ProviderFailure([400, 413, 422].includes(status) ? 'input' : 'refused', message);
}

/** What undici throws when there is no connection, or none any more. */
const broken = (error: Error): boolean =>
  (error instanceof TypeError && /^(fetch failed|terminated)$/.test(error.message)) ||
  /^(E[A-Z]+|UND_ERR_[A-Z_]+)$/.test(String((error as { code?: unknown }).code));

/** A machine's code for the failure, if there is one that cannot be text of a document. */
function codeOf(chain: Error[]): string {
  const codes = chain.map((error) => (error as { code?: unknown }).code);
  const code = codes.find((value) => typeof value === 'string' && /^[A-Za-z][\w.-]{1,60}$/.test(value));
  return code === undefined ? '' : ` (${String(code)})`;
}

function causes(error: unknown): Error[] {
  const chain: Error[] = [];
  for (let next = error; next instanceof Error && chain.length < 10; next = next.cause) chain.push(next);
  return chain;
}
