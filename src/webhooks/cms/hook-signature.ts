import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { Webhook } from 'standardwebhooks';

/** Headers as they came over the wire, name and value by turns: what was sent twice is still there twice. */
type RawHeaders = readonly string[];

const signing = ['x-webhook-signature', 'webhook-signature', 'webhook-id', 'webhook-timestamp'] as const;

type Signing = Partial<Record<(typeof signing)[number], string>>;

const longestHeader = 1024;

/**
 * Whether a hook was sent by who knows the secret. Two forms are understood, and each that is there must be right:
 *
 * - `X-Webhook-Signature: <hex>`, `sha256=` before it or not: HMAC-SHA256 of the raw bytes. The key is the secret's text
 *   exactly as it was shown, `whsec_` included, as UTF-8.
 * - Standard Webhooks (`webhook-id`, `webhook-timestamp`, `webhook-signature`): the key is what follows `whsec_`, decoded
 *   from base64; a timestamp further off than five minutes is refused.
 *
 * Never throws, whatever the headers hold.
 * @returns the name by which this message is told from others of its source: the signed `webhook-id`, or the SHA-256 of
 * the body where the id is not covered by the signature; null for a message that is not authentic
 */
export function authenticName(secret: string, rawHeaders: RawHeaders, body: Buffer): string | null {
  const headers = signingHeaders(rawHeaders);
  if (!headers) return null;
  const { 'x-webhook-signature': hex, 'webhook-signature': standard } = headers;
  if (hex === undefined && standard === undefined) return null;
  if (hex !== undefined && !hexIsRight(secret, hex, body)) return null;
  if (standard !== undefined && !standardIsRight(secret, headers, body)) return null;
  if (standard !== undefined) return `id:${headers['webhook-id']}`;
  return `sha256:${createHash('sha256').update(body).digest('hex')}`;
}

/** @returns null when one of them came twice (which of the two would count?) or is longer than any signature is */
function signingHeaders(raw: RawHeaders): Signing | null {
  const found: Signing = {};
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = signing.find((header) => header === raw[at]?.toLowerCase());
    if (!name) continue;
    const value = raw[at + 1] ?? '';
    if (found[name] !== undefined || value.length > longestHeader) return null;
    found[name] = value;
  }
  return found;
}

function hexIsRight(secret: string, header: string, body: Buffer): boolean {
  const digest = /^(?:sha256=)?([0-9a-f]{64})$/i.exec(header)?.[1];
  if (digest === undefined) return false;
  const expected = createHmac('sha256', secret).update(body).digest();
  const given = Buffer.from(digest, 'hex');
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function standardIsRight(secret: string, headers: Signing, body: Buffer): boolean {
  const { 'webhook-id': id = '', 'webhook-timestamp': timestamp = '', 'webhook-signature': signature = '' } = headers;
  // The library reads "1700000000abc" as a time and a comma-less signature as an empty one; neither gets that far.
  if (!/^[\x21-\x7e]{1,255}$/.test(id) || !/^\d{1,12}$/.test(timestamp) || signature === '') return false;
  try {
    new Webhook(secret).verify(
      body,
      { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature },
      { jsonParse: false },
    );
    return true;
  } catch {
    return false; // its way of saying no
  }
}
