import { describe, expect, it } from 'vitest';
import { isApiKey, newApiKey } from '../../src/access/api-key.js';

describe('an API key', () => {
  it('is recognised, and no two are the same', () => {
    const keys = Array.from({ length: 200 }, newApiKey);
    expect(keys.every(isApiKey)).toBe(true);
    expect(new Set(keys).size).toBe(200);
    for (const key of keys) expect(key).toMatch(/^lk_[0-9A-Za-z]{36}$/);
  });

  it('with any one character mistyped is not one', () => {
    const key = newApiKey();
    for (let at = 0; at < key.length; at++) {
      const typo = `${key.slice(0, at)}${key[at] === 'x' ? 'y' : 'x'}${key.slice(at + 1)}`;
      expect(isApiKey(typo), typo).toBe(false);
    }
  });

  it('with two neighbours swapped is not one', () => {
    const key = newApiKey();
    const swapped = Array.from(
      key.slice(3, -1),
      (a, at) => `${key.slice(0, at + 3)}${key[at + 4]}${a}${key.slice(at + 5)}`,
    );
    expect(swapped.filter((text) => text !== key && isApiKey(text))).toEqual([]);
  });

  it.each(['', 'lk_', 'x'.repeat(39)])('is not %j', (text) => expect(isApiKey(text)).toBe(false));

  it('with something before or after it is not one', () => {
    const key = newApiKey();
    for (const text of [` ${key}`, `${key} `, `${key}\n`, key.slice(0, -1), `${key}0`, key.toUpperCase()])
      expect(isApiKey(text)).toBe(false);
  });
});
