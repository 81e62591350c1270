import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

/** The strings of an encryption dictionary of revision 6: what proves a password, and the file's key locked with it. */
interface Locks {
  O: Found;
  OE: Found;
  U: Found;
  UE: Found;
}

interface Found {
  bytes: Buffer;
  start: number;
  end: number;
  hex: boolean;
}

const DICTIONARY_BYTES = 4096;
const HASH = 32;
const SALT = 8;
const empty = Buffer.alloc(0);

/**
 * A PDF that is locked for readers, but whose owner password is empty, opens without a password in other readers: the
 * empty one is an owner's. pdf.js asks only whether it is a reader's. So the file's key, which the owner's lock gives
 * away, is locked anew with the empty reader's password.
 * ISO 32000-2, 7.6.4.4: algorithms 8, 2.A and 2.B; only revision 6, where the hash is salted. Null when that is not it.
 */
export function openedByOwner(pdf: Buffer): Buffer | null {
  const locks = findLocks(pdf);
  if (!locks) return null;
  const { O, OE, U } = locks;
  const user = U.bytes.subarray(0, HASH + 2 * SALT);
  const proof = hash(O.bytes.subarray(HASH, HASH + SALT), user);
  if (!proof.equals(O.bytes.subarray(0, HASH))) return null;
  const unlock = createDecipheriv(
    'aes-256-cbc',
    hash(O.bytes.subarray(HASH + SALT, HASH + 2 * SALT), user),
    Buffer.alloc(16),
  );
  const key = unlock.setAutoPadding(false).update(OE.bytes.subarray(0, HASH));
  return lockedForNobody(pdf, locks, key);
}

/** In place, so that no offset of the file moves; by other salts when the new strings, once escaped, do not fit. */
function lockedForNobody(pdf: Buffer, { U, UE }: Locks, key: Buffer): Buffer | null {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const salts = randomBytes(2 * SALT);
    const lock = createCipheriv('aes-256-cbc', hash(salts.subarray(SALT), empty), Buffer.alloc(16));
    const proof = written(U, Buffer.concat([hash(salts.subarray(0, SALT), empty), salts]));
    const locked = written(UE, lock.setAutoPadding(false).update(key));
    if (proof === null || locked === null) continue;
    const opened = Buffer.from(pdf);
    opened.write(proof, U.start, 'latin1');
    opened.write(locked, UE.start, 'latin1');
    return opened;
  }
  return null;
}

function findLocks(pdf: Buffer): Locks | null {
  const text = pdf.toString('latin1');
  const reference = /\/Encrypt\s+(\d+)\s+(\d+)\s+R/.exec(text.slice(text.lastIndexOf('/Encrypt')));
  if (!reference) return null;
  const start = text.lastIndexOf(`\n${reference[1]} ${reference[2]} obj`);
  const dictionary = text.slice(start, start + DICTIONARY_BYTES);
  if (start < 0 || !/\/R\s+6\b/.test(dictionary)) return null;
  const [O, OE, U, UE] = ['O', 'OE', 'U', 'UE'].map((name) => findString(dictionary, name, start));
  return O && OE && U && UE && O.bytes.length >= HASH + 2 * SALT && OE.bytes.length >= HASH ? { O, OE, U, UE } : null;
}

function findString(dictionary: string, name: string, offset: number): Found | null {
  const found = new RegExp(`/${name}\\s*(<[0-9a-f\\s]*>|\\((?:\\\\[^]|[^\\\\()])*\\))`, 'i').exec(dictionary);
  if (!found?.[1]) return null;
  const start = offset + found.index + found[0].length - found[1].length;
  return { bytes: bytesOf(found[1]), start, end: start + found[1].length, hex: found[1].startsWith('<') };
}

const LETTERS: Record<string, string> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' };

function bytesOf(token: string): Buffer {
  if (token.startsWith('<')) return Buffer.from(token.replaceAll(/[<>\s]/g, ''), 'hex');
  const plain = token
    .slice(1, -1)
    .replaceAll(/\\([0-7]{1,3}|\r\n|[^])/g, (_, escaped: string) =>
      /^[0-7]/.test(escaped)
        ? String.fromCharCode(Number.parseInt(escaped, 8) & 0xff)
        : (LETTERS[escaped] ?? escaped.replace(/^[\r\n]+$/, '')),
    );
  return Buffer.from(plain, 'latin1');
}

/** The token that stands for `bytes`, as long as the one it replaces; null when it is longer. */
function written({ start, end, hex }: Found, bytes: Buffer): string | null {
  const escaped = bytes.toString('latin1').replaceAll(/[\\()\r\n]/g, (char) => `\\${ESCAPED[char] ?? char}`);
  const token = hex ? `<${bytes.toString('hex')}>` : `(${escaped})`;
  return token.length > end - start ? null : token.padEnd(end - start);
}

const ESCAPED: Record<string, string> = { '\r': 'r', '\n': 'n' };

/** Algorithm 2.B for the empty password. */
function hash(salt: Buffer, user: Buffer): Buffer {
  let key = createHash('sha256').update(salt).update(user).digest();
  for (let round = 0; ; round += 1) {
    const repeated = Buffer.concat(Array.from({ length: 64 }, () => Buffer.concat([key, user])));
    const cipher = createCipheriv('aes-128-cbc', key.subarray(0, 16), key.subarray(16, 32));
    const mixed = cipher.setAutoPadding(false).update(repeated);
    const rest = mixed.subarray(0, 16).reduce((sum, byte) => sum + byte, 0) % 3;
    key = createHash(['sha256', 'sha384', 'sha512'][rest]!).update(mixed).digest();
    if (round >= 63 && mixed.at(-1)! <= round - 31) return key.subarray(0, HASH);
  }
}
