import { ApiError } from '../errors.js';
import type { OutboundAnswer, OutboundClient } from '../platform/outbound.js';
import type { SecretBox } from '../platform/secrets.js';
import { wellFormed } from '../platform/text.js';
import type { Attempt, Outcome } from './attempts.js';
import { readRetryAfter } from './retry-schedule.js';
import { messageId, signedHeaders } from './signature.js';

const keptBytes = 4096;

/** Makes an attempt: signs the body with the time of now, and posts it. Never throws: what went wrong is the outcome. */
export async function send(attempt: Attempt, outbound: OutboundClient, box: SecretBox): Promise<Outcome> {
  const at = new Date();
  const secrets = opened(attempt.secrets, box);
  if (!secrets) return failure('secret_unreadable');
  try {
    const headers = {
      'content-type': 'application/json',
      'user-agent': 'Lectern-Webhooks/1',
      ...signedHeaders(secrets, messageId(attempt.id), at, attempt.body),
    };
    return judge(await outbound.post(attempt.url, headers, attempt.body), new Date());
  } catch (error) {
    return failure(reasonOf(error));
  }
}

/** Only 2xx means that the receiver has it: a redirect is not followed, and is a failure. */
export function judge(answer: OutboundAnswer, now: Date): Outcome {
  const { status } = answer;
  return {
    status,
    error: status >= 200 && status < 300 ? null : `status_${status}`,
    response: excerpt(answer.body),
    retryAfter: readRetryAfter(answer.headers['retry-after'], now),
  };
}

/**
 * A code for what kept an attempt from being answered. A closed port, a filtered one and an unknown name are told alike:
 * the list of deliveries must not serve for scanning a network.
 */
function reasonOf(error: unknown): string {
  if (error instanceof ApiError) return error.code;
  const { name, code = '' } = error as { name?: string; code?: string };
  if (name === 'TimeoutError' || ['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'].includes(code)) return 'timeout';
  return /CERT|SELF_SIGNED|ISSUER|ERR_TLS/.test(code) ? 'certificate_refused' : 'unreachable';
}

function opened(sealed: Buffer[], box: SecretBox): string[] | null {
  try {
    return sealed.map((secret) => box.open(secret));
  } catch {
    return null; // sealed under another SECRET_KEY: told as the outcome, for no repetition can help
  }
}

/** The first 4 KiB. Bytes that are no UTF-8 grow when they are replaced, so the length is cut once more. */
function excerpt(text: string): string {
  return Buffer.from(wellFormed(text))
    .subarray(0, keptBytes - 3)
    .toString('utf8');
}

const failure = (error: string): Outcome => ({ status: null, error, response: null, retryAfter: null });
