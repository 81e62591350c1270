import { randomUUID } from 'node:crypto';
import { Client } from '../../samples/demo/client.mjs';
import { allAnswer, inParallel, pause, startForBench } from '../load.mjs';
import { progress } from './progress.mjs';

// Which models an evaluation asks is for whoever runs it to say; everything else about the service is as it comes.
const models = /^(EMBEDDING|RERANK|CHAT)_/;

/**
 * The service that is evaluated: the one at `url`, or the built one on temporary data, with the models and engines that
 * the environment names.
 *
 * @param {{ url?: string, key?: string }} at
 * @param {(undo: () => Promise<void>) => void} finallyDo
 */
export async function openService({ url, key }, finallyDo) {
  if (url) return opened(new Client(url.replace(/\/+$/, ''), key ?? ''));
  const settings = Object.fromEntries(Object.entries(process.env).filter(([name]) => models.test(name)));
  const { newTenant, stop } = await startForBench(settings);
  finallyDo(stop);
  return opened(await newTenant());
}

/** @param {Client} client */
async function opened(client) {
  const { mode } = await client.get('/health/ready');
  return { client, engine: `${mode} database` };
}

/**
 * @typedef {object} Upload what the API takes for a document: JSON fields, or a file with fields beside it
 * @property {string} externalId
 * @property {string} [title]
 * @property {string} [content]
 * @property {string} [contentType]
 * @property {Record<string, unknown>} [metadata]
 * @property {URL} [file]
 */

/**
 * A new base with these documents in it, when all of them answer.
 *
 * @param {Client} client
 * @param {string} name
 * @param {Upload[]} uploads
 */
export async function fillBase(client, name, uploads) {
  const { id, pipeline } = await client.post('/v1/knowledge-bases', { name: `${name} ${randomUUID()}` });
  const base = `/v1/knowledge-bases/${id}`;
  const began = performance.now();
  const sent = progress(`${name}: uploading`, uploads.length);
  await inParallel(uploads, 8, async (upload) => {
    await patiently(() => send(client, base, upload));
    sent.more();
  });
  sent.end();
  const uploadMs = performance.now() - began;
  const shown = progress(`${name}: ready`, uploads.length);
  const { stats, failed } = await allAnswer(client, base, uploads.length, { everyMs: 250, tell: shown.at });
  shown.end();
  const loading = { uploadMs: Math.round(uploadMs), totalMs: Math.round(performance.now() - began), ...stats, failed };
  return { base, model: pipeline.embedding.model, loading };
}

/** @param {Client} client @param {string} base @param {Upload} upload */
function send(client, base, { file, ...fields }) {
  if (!file) return client.post(`${base}/documents`, fields);
  const texts = Object.entries(fields).map(([name, value]) => [
    name,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
  return client.upload(`${base}/documents`, file, 'application/octet-stream', Object.fromEntries(texts));
}

/** A service that says "not now" is asked again. @param {() => Promise<unknown>} deed */
async function patiently(deed) {
  for (let tries = 1; ; tries++) {
    try {
      return await deed();
    } catch (error) {
      if (tries === 60 || !/came\s+(429|503) /.test(String(error))) throw error;
      await pause(500);
    }
  }
}

/**
 * Asks every question in a mode.
 *
 * @template {{ id: string, text: string }} Q
 * @param {Client} client
 * @param {string} base
 * @param {Q[]} questions
 * @param {string} mode
 * @param {{ topK: number, filter?: (question: Q) => object | undefined }} options
 */
export async function askAll(client, base, questions, mode, { topK, filter }) {
  const shown = progress(`${mode}: asking`, questions.length);
  let degraded = 0;
  const began = performance.now();
  const answers = await inParallel(questions, 4, async (question) => {
    const body = { query: question.text, mode, topK, filter: filter?.(question) };
    const answer = await client.post(`${base}/search`, body);
    if (answer.degraded.length > 0) degraded++;
    shown.more();
    return answer.results;
  });
  shown.end();
  return { answers, degraded, msEach: (performance.now() - began) / Math.max(1, questions.length) };
}
