import { join } from 'node:path';
import { generateKeyPairSync, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { jwtVerify, SignJWT } from 'jose';
import { readOrCreateSecretFile } from '../platform/secrets.js';
import { type Principal, scopes, type Scope } from './principal.js';

const issuer = 'lectern';
const type = 'at+jwt';

/** What a token says; the signature makes it true for its lifetime, the key behind it can end it sooner. */
export interface TokenClaims {
  tenantId: string;
  subject: string;
  groups: string[];
  scopes: Scope[];
  knowledgeBases: string[] | null;
  keyId: string | null;
}

export interface TokenWish {
  subject: string;
  groups: string[];
  scopes: Scope[];
  knowledgeBases: string[] | null;
  ttlSeconds: number;
}

/** Short-lived signed tokens (RFC 9068 shape, EdDSA over Ed25519), by `jose`. */
export class Tokens {
  private readonly publicKey: KeyObject;

  constructor(private readonly privateKey: KeyObject) {
    this.publicKey = createPublicKey(privateKey);
  }

  async issue(principal: Principal, wish: TokenWish): Promise<{ token: string; expiresAt: Date }> {
    const issuedAt = Math.floor(Date.now() / 1000);
    const expiresAt = issuedAt + wish.ttlSeconds;
    const claims = {
      tenant: principal.tenantId,
      groups: wish.groups,
      scope: wish.scopes.join(' '),
      bases: wish.knowledgeBases,
      key: principal.keyId,
    };
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'EdDSA', typ: type })
      .setIssuer(issuer)
      .setAudience(issuer)
      .setSubject(wish.subject)
      .setIssuedAt(issuedAt)
      .setExpirationTime(expiresAt)
      .sign(this.privateKey);
    return { token, expiresAt: new Date(expiresAt * 1000) };
  }

  /** @returns null for anything that is not a live token of this service */
  async verify(token: string): Promise<TokenClaims | null> {
    try {
      const { payload } = await jwtVerify<{
        tenant: string;
        groups: string[];
        scope: string;
        bases: string[] | null;
        key: string | null;
      }>(token, this.publicKey, {
        algorithms: ['EdDSA'],
        issuer,
        audience: issuer,
        typ: type,
        requiredClaims: ['sub', 'exp', 'tenant', 'scope'],
      });
      const granted = payload.scope.split(' ');
      return {
        tenantId: payload.tenant,
        subject: payload.sub ?? '',
        groups: payload.groups,
        scopes: scopes.filter((scope) => granted.includes(scope)),
        knowledgeBases: payload.bases,
        keyId: payload.key,
      };
    } catch {
      // Whatever is wrong with it, the caller learns only that it is not good.
      return null;
    }
  }
}

/** The signing key: given as PKCS#8 PEM in `TOKEN_PRIVATE_KEY`, or made at first boot as `<DATA_DIR>/token-key.pem`. */
export async function loadTokens(dataDir: string, given: string | null): Promise<Tokens> {
  const pem = given ?? (await readOrCreateSecretFile(join(dataDir, 'token-key.pem'), newPrivateKey));
  // Environment files often hold a PEM in one line, with the line ends written out.
  const key = createPrivateKey(pem.replaceAll('\\n', '\n'));
  if (key.asymmetricKeyType !== 'ed25519')
    throw new Error('TOKEN_PRIVATE_KEY must be an Ed25519 private key in PKCS#8 PEM');
  return new Tokens(key);
}

const newPrivateKey = (): string =>
  generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString().trim();
