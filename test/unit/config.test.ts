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

  it.each(['EMBEDDING', 'CHAT'])('wants the address and the name of the %s model together or not at all', (prefix) => {
    expect(problems({ [`${prefix}_MODEL`]: 'm' })).toEqual([expect.stringContaining(`${prefix}_BASE_URL is missing`)]);
    expect(problems({ [`${prefix}_BASE_URL`]: 'http://localhost:1' })).toEqual([
      expect.stringContaining(`${prefix}_MODEL is missing`),
    ]);
    expect(problems({ [`${prefix}_BASE_URL`]: 'http://localhost:1/v1/', [`${prefix}_MODEL`]: 'm' })).toEqual([]);
  });

  it('takes an admin key of 24 characters', () => {
    expect(readConfig({ ADMIN_API_KEY: 'x'.repeat(24) }).adminApiKey).toHaveLength(24);
  });
});
