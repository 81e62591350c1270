import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes, randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/**
 * Reads a secret kept in a file that only its owner may read, or makes it at first boot. Written aside and then linked
 * into place, so that a crash leaves no half of one, and of two processes that start at once both use the first one's.
 * @throws Error when the file is there but empty: an empty secret would protect nothing
 */
export async function readOrCreateSecretFile(file: string, make: () => string): Promise<string> {
  await mkdir(dirname(file), { recursive: true });
  const kept = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (kept === null) {
    await createSecretFile(file, make());
    return readOrCreateSecretFile(file, make);
  }
  if (kept.trim() === '')
    throw new Error(`${file} is empty: restore it, or remove it if nothing was stored with it yet`);
  return kept.trim();
}

async function createSecretFile(file: string, secret: string): Promise<void> {
  const aside = `${file}.${randomUUID()}`;
  try {
    await writeFile(aside, `${secret}\n`, { flag: 'wx', mode: 0o600, flush: true });
    await link(aside, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(aside, { force: true });
  }
}

/** The service's own secret: given as `SECRET_KEY`, or made at first boot as `<DATA_DIR>/secret-key`. */
export async function loadSecretBox(dataDir: string, given: string | null): Promise<SecretBox> {
  const secret =
    given ?? (await readOrCreateSecretFile(join(dataDir, 'secret-key'), () => randomBytes(32).toString('base64url')));
  return new SecretBox(secret);
}

/**
 * What the service keeps about other people's secrets: a keyed hash where it only has to recognise them (API keys), an
 * AES-256-GCM box where it has to use them again (webhook secrets). Both keys come from one secret by HKDF-SHA256.
 */
export class SecretBox {
  private readonly hashKey: Buffer;
  private readonly boxKey: Buffer;

  constructor(secret: string) {
    const derive = (purpose: string) => Buffer.from(hkdfSync('sha256', secret, 'lectern', purpose, 32));
    this.hashKey = derive('keyed-hash');
    this.boxKey = derive('box');
  }

  /** HMAC-SHA256: the same text gives the same 32 bytes, and a stolen database gives no text. */
  hash(text: string): Buffer {
    return createHmac('sha256', this.hashKey).update(text).digest();
  }

  /** @returns nonce (12 bytes), tag (16 bytes) and ciphertext in one buffer */
  seal(text: string): Buffer {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.boxKey, nonce);
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
  }

  /** @throws Error when the box was sealed under another secret, or was tampered with */
  open(box: Buffer): string {
    const decipher = createDecipheriv('aes-256-gcm', this.boxKey, box.subarray(0, 12));
    decipher.setAuthTag(box.subarray(12, 28));
    return Buffer.concat([decipher.update(box.subarray(28)), decipher.final()]).toString('utf8');
  }
}
