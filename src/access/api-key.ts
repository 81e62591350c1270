import { crc32 } from 'node:zlib';
import { randomInt } from 'node:crypto';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const shape = /^lk_([0-9A-Za-z]{30})([0-9A-Za-z]{6})$/;

/** A new API key: `lk_`, 30 random base62 characters (178 bits), 6 of checksum. */
export function newApiKey(): string {
  const body = Array.from({ length: 30 }, () => alphabet[randomInt(62)]).join('');
  return `lk_${body}${checksum(body)}`;
}

/** Whether a text can be one of our keys at all: a mistyped one is refused before any query. */
export function isApiKey(text: string): boolean {
  const [, body, sum] = shape.exec(text) ?? [];
  return body !== undefined && sum === checksum(body);
}

/** CRC-32 in six base62 digits. */
function checksum(body: string): string {
  let rest = crc32(body);
  let digits = '';
  for (let place = 0; place < 6; place++) {
    digits = alphabet[rest % 62] + digits;
    rest = Math.floor(rest / 62);
  }
  return digits;
}
