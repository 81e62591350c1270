import { readFile } from 'node:fs/promises';
import { Disappointment } from './page.mjs';

/**
 * @typedef {{ documentId: string, revision: string, title: string, section: string[], page: number | null,
 *   marker: number, quote: string, start: number, end: number }} Citation
 * @typedef {{ answer: string, outcome: string, mode: string, confidence: string, citations: Citation[] }} Answer
 */

/** The calls of one caller, who is known by `key`: an API key or a token. */
export class Client {
  /**
   * @param {string} url
   * @param {string} key
   */
  constructor(url, key) {
    this.url = url;
    this.key = key;
  }

  /** @param {string} path */
  get(path) {
    return this.call('GET', path);
  }

  /**
   * @param {string} path
   * @param {object} [body]
   */
  post(path, body) {
    return this.call('POST', path, JSON.stringify(body ?? {}), { 'content-type': 'application/json' });
  }

  /** @param {string} path */
  delete(path) {
    return this.call('DELETE', path);
  }

  /**
   * @param {string} path
   * @param {URL} file
   * @param {string} type
   * @param {Record<string, string>} fields structured ones as JSON
   */
  async upload(path, file, type, fields) {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.set(name, value);
    form.set('file', new Blob([await readFile(file)], { type }), file.pathname.split('/').at(-1));
    return this.call('POST', path, form);
  }

  /**
   * @param {string} knowledgeBase
   * @param {string} message
   * @returns {Promise<Answer>}
   */
  ask(knowledgeBase, message) {
    return this.post('/v1/chat', { knowledgeBases: [knowledgeBase], message });
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {string | FormData} [body]
   * @param {Record<string, string>} [headers]
   */
  async call(method, path, body, headers = {}) {
    const authorization = this.key === '' ? {} : { authorization: `Bearer ${this.key}` };
    const signal = AbortSignal.timeout(30_000);
    const response = await fetch(this.url + path, { method, body, headers: { ...authorization, ...headers }, signal });
    const text = await response.text();
    if (!response.ok) throw new Disappointment(`${method} ${path} to succeed`, `${response.status} ${text}`);
    return text === '' ? null : JSON.parse(text);
  }
}

const pollMs = 150;

/**
 * Asks again and again until `good` says yes.
 *
 * @template T
 * @param {string} expected in words, for the complaint
 * @param {number} deadlineMs
 * @param {() => Promise<T> | T} look
 * @param {(seen: T) => boolean} good
 * @returns {Promise<T>}
 */
export async function until(expected, deadlineMs, look, good) {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const seen = await look();
    if (good(seen)) return seen;
    if (performance.now() > deadline) throw new Disappointment(`${expected} within ${deadlineMs / 1000} s`, seen);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}
