import { describe, expect, it } from 'vitest';
import { ConfigError, readConfig } from '../../src/config.js';

function problems(environment: Record<string, string>): string[] {
  try {
    readConfig(environment);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

describe('the configuration', () => {
  it('has a default for everything', () => {
    expect(readConfig({})).toMatchObject({
      port: 3000,
      role: 'all',
      database: { url: null },
      redisUrl: null,
      adminApiKey: null,
      chat: null,
    });
  });

  it('takes an empty variable for one that is not set', () => {
    expect(readConfig({ PORT: '', DATABASE_URL: ' ', CHAT_MODEL: '' })).toEqual(readConfig({}));
  });

  it('names every bad variable at once', () => {
    const bad = {
      PORT: '65536',
      ROLE: 'boss',
      LOG_LEVEL: 'loud',
      ADMIN_API_KEY: 'x'.repeat(23),
      SECRET_KEY: 'short',
      DATABASE_URL: 'mysql://localhost/x',
      REDIS_URL: 'localhost:6379',
      OUTBOUND_ALLOW_CIDRS: '10.0.0.0/8,10.0.0.0/99',
      OUTBOUND_PORTS: '443,65536',
      EMBEDDING_BASE_URL: 'not a url',
      UPLOAD_MAX_MB: '1.5',
      STATEMENT_TIMEOUT_MS: 'soon',
    };
    const named = problems(bad).map((problem) => problem.split(' ')[0]);
    expect(new Set(named)).toEqual(new Set(Object.keys(bad)));
  });

  it('never repeats a secret in what it says', () => {
    const told = problems({
      ADMIN_API_KEY: 'too-short-a-key',
      DATABASE_URL: 'mysql://u:hunter2@db/x',
      SECRET_KEY: 'weak',
    }).join();
    for (const secret of ['too-short-a-key', 'hunter2', 'weak']) expect(told).not.toContain(secret);
  });

  it('needs no name for a reranker that serves one model, and knows the styles it speaks', () => {
    const address = { RERANK_BASE_URL: 'http://localhost:1' };
    expect(readConfig({ ...address, RERANK_STYLE: 'tei' }).rerank).toMatchObject({ style: 'tei', timeoutMs: 2500 });
    expect(problems({ ...address, RERANK_MODEL: 'm', RERANK_STYLE: 'rrf' })).toEqual([
      expect.stringContaining('RERANK_STYLE must be one of cohere, jina, tei'),
    ]);
  });

  it.each(['EMBEDDING', 'CHAT', 'RERANK'])(
    'wants the address and the name of the %s model together or not at all',
    (prefix) => {
      expect(problems({ [`${prefix}_MODEL`]: 'm' })).toEqual([
        expect.stringContaining(`${prefix}_BASE_URL is missing`),
      ]);
      expect(problems({ [`${prefix}_BASE_URL`]: 'http://localhost:1' })).toEqual([
        expect.stringContaining(`${prefix}_MODEL is missing`),
      ]);
      expect(problems({ [`${prefix}_BASE_URL`]: 'http://localhost:1/v1/', [`${prefix}_MODEL`]: 'm' })).toEqual([]);
    },
  );

  it('wants the bucket and its keys together or not at all', () => {
    const whole = { S3_BUCKET: 'files', S3_ACCESS_KEY_ID: 'id', S3_SECRET_ACCESS_KEY: 'secret' };
    for (const given of Object.keys(whole)) {
      const others = Object.keys(whole).filter((name) => name !== given);
      expect(problems({ [given]: 'x' })).toEqual(others.map((name) => `${name} is missing although ${given} is set`));
    }
    expect(problems({ S3_ENDPOINT: 'http://localhost:9000' })).toHaveLength(3);
    expect(readConfig(whole).s3).toEqual({
      bucket: 'files',
      accessKeyId: 'id',
      secretAccessKey: 'secret',
      endpoint: null,
      region: 'us-east-1',
      prefix: '',
      forcePathStyle: false,
      connectTimeoutMs: 3000,
      timeoutMs: 30_000,
    });
    expect(readConfig({ ...whole, S3_PREFIX: 'lectern/prod' }).s3?.prefix).toBe('lectern/prod/');
  });

  it('names every bad S3 variable at once', () => {
    const bad = {
      S3_BUCKET: 'files',
      S3_ENDPOINT: 'ftp://x',
      S3_PREFIX: '/x y',
      S3_FORCE_PATH_STYLE: 'yes',
      S3_CONNECT_TIMEOUT_MS: '1',
      S3_TIMEOUT_MS: 'x',
    };
    const named = new Set(problems(bad).map((problem) => problem.split(' ')[0]));
    const { S3_BUCKET: _, ...wrong } = bad;
    expect(named).toEqual(new Set([...Object.keys(wrong), 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY']));
  });

  it('takes an admin key of 24 characters', () => {
    expect(readConfig({ ADMIN_API_KEY: 'x'.repeat(24) }).adminApiKey).toHaveLength(24);
  });
});
