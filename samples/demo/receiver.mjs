import { once } from 'node:events';
import { createServer } from 'node:http';
import { Webhook } from 'standardwebhooks';

/**
 * @typedef {{ id: string, type: string, sequence?: number, data: Record<string, unknown> }} Event
 */

/**
 * What a customer's webhook receiver does: takes each POST on loopback, verifies its signature over the raw bytes, and
 * refuses what does not verify.
 *
 * @param {(event: Event) => void} hear called with each verified event, repetitions left out
 */
export async function openReceiver(hear) {
  // The endpoint's secret is known only after the endpoint is: what comes earlier waits for it.
  /** @type {(secret: string) => void} */
  let trust;
  /** @type {Promise<string>} */
  const secret = new Promise((resolve) => {
    trust = resolve;
  });
  /** @type {Event[]} */
  const events = [];
  /** @type {string[]} */
  const refused = [];
  const heard = new Set();
  const server = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    try {
      const body = Buffer.concat(parts);
      new Webhook(await secret).verify(body, /** @type {Record<string, string>} */ (request.headers));
      const event = JSON.parse(body.toString());
      response.writeHead(204).end();
      // The same webhook-id is the same event, sent again because an answer was lost.
      if (heard.has(request.headers['webhook-id'])) return;
      heard.add(request.headers['webhook-id']);
      events.push(event);
      hear(event);
    } catch (error) {
      refused.push(String(error));
      response.writeHead(400).end();
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${port}/lectern-events`,
    events,
    refused,
    trust: (/** @type {string} */ given) => trust(given),
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
