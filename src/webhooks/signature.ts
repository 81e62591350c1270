import { randomBytes } from 'node:crypto';
import { Webhook } from 'standardwebhooks';

/** A new signing secret as Standard Webhooks writes them: `whsec_` and 32 random bytes in base64. */
export const newSecret = (): string => `whsec_${randomBytes(32).toString('base64')}`;

/** The name of a delivery to its receiver: the same over all attempts, so that it can tell a repetition. */
export const messageId = (deliveryId: string): string => `msg_${deliveryId}`;

/**
 * The headers of one attempt (https://www.standardwebhooks.com). Each secret gives a signature: while one is being
 * rotated there are two, and a receiver that knows either is satisfied.
 * @param secrets `whsec_…`, newest first
 * @param at the time of this attempt: receivers refuse what is older than five minutes
 */
export function signedHeaders(secrets: string[], id: string, at: Date, body: string): Record<string, string> {
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': secrets.map((secret) => new Webhook(secret).sign(id, at, body)).join(' '),
  };
}
