import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import multipart from '@fastify/multipart';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import type { IncomingMessage } from 'node:http';
import type { Config } from '../../config.js';
import { ApiError } from '../../errors.js';
import type { Logger } from '../logger.js';
import { discardRest, refuseBroken } from './broken-requests.js';
import { asApiError, problem } from './problem.filter.js';

const megabyte = 1024 * 1024;

/** Where a POST may be larger, or must be smaller, than the usual 1 MiB. The key is the end of the route's path. */
const bodyLimits = (config: Config): Record<string, number> => ({
  '/knowledge-bases/:kb/documents': config.upload.maxBytes + megabyte,
  '/hooks/:sourceId': megabyte,
});

/** Routes whose body reaches the handler as the bytes that came: their signature is over those. */
const rawBodies = ['/v1/hooks/'];

// What reads a body recurses (validation, fingerprints), and 200,000 brackets fit into 1 MiB.
const maxNesting = 100;

/** Fastify with our request ids, body limits, JSON parser and access log, before Nest adds its routes. */
export async function makeAdapter(config: Config, logger: Logger): Promise<FastifyAdapter> {
  const { requestTimeoutMs, headersTimeoutMs } = config.http;
  const shorterMs = Math.min(requestTimeoutMs, headersTimeoutMs);
  const adapter = new FastifyAdapter({
    bodyLimit: megabyte,
    requestTimeout: requestTimeoutMs,
    // Node looks for late requests every so often: twice within the shorter of the two limits.
    http: { headersTimeout: headersTimeoutMs, connectionsCheckingInterval: Math.ceil(shorterMs / 2) },
    clientErrorHandler: refuseBroken,
    // While the process ends, what still comes in over a connection that was open is answered, and told to be the last.
    return503OnClosing: false,
    // A caller's own id is taken when it is short and plain; anything else would be a way to forge log lines.
    genReqId: (request: IncomingMessage) => {
      const given = request.headers['x-request-id'];
      return typeof given === 'string' && /^[\w.:-]{1,100}$/.test(given) ? given : randomUUID();
    },
    routerOptions: { maxParamLength: 200 },
    frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
      const failure = asApiError(error);
      void reply
        .status(failure.status)
        .type('application/problem+json')
        .header('x-request-id', request.id)
        .send(problem(failure, request.id));
    },
  });
  const fastify = adapter.getInstance() as unknown as FastifyInstance;
  fastify.addHook('onRoute', (route: RouteOptions) => limitBody(route, bodyLimits(config)));
  fastify.addHook('onRequest', async (request, reply) => {
    void reply
      .header('x-request-id', request.id)
      .header('x-content-type-options', 'nosniff')
      .header('cache-control', 'no-store');
  });
  fastify.addHook('onResponse', async (request, reply) => {
    discardRest(request.raw);
    const line = {
      requestId: request.id,
      method: request.method,
      route: request.routeOptions.url,
      status: reply.statusCode,
    };
    logger.info({ ...line, ms: Math.round(reply.elapsedTime) }, 'request');
  });
  const parse = fastify.getDefaultJsonParser('error', 'error');
  fastify.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    if (body.length === 0 || rawBodies.some((prefix) => request.url.startsWith(prefix)))
      return done(null, body.length ? body : undefined);
    if (!isUtf8(body as Buffer)) return done(new ApiError('bad_request', 'The body is not UTF-8.'));
    const text = body.toString();
    if (nesting(text) > maxNesting)
      return done(new ApiError('bad_request', `The body is nested more than ${maxNesting} levels deep.`));
    return parse(request, text, done);
  });
  await adapter.register(multipart as never, {
    // A second file is let through to whoever reads the parts: it is a bad field, not too much.
    limits: { fileSize: config.upload.maxBytes + 1, files: 2, fields: 20, fieldSize: 64 * 1024, parts: 30 },
  });
  return adapter;
}

function limitBody(route: RouteOptions, limits: Record<string, number>): void {
  const limit = Object.entries(limits).find(([end]) => route.url.endsWith(end))?.[1];
  if (limit !== undefined && [route.method].flat().includes('POST')) route.bodyLimit = limit;
}

/** How deep the objects and lists of a JSON text go; brackets inside its strings do not count. */
function nesting(json: string): number {
  let depth = 0;
  let deepest = 0;
  let quoted = false;
  for (let at = 0; at < json.length; at++) {
    const character = json[at];
    if (quoted && character === '\\') at++;
    else if (character === '"') quoted = !quoted;
    else if (!quoted && (character === '{' || character === '[')) deepest = Math.max(deepest, ++depth);
    else if (!quoted && (character === '}' || character === ']')) depth--;
  }
  return deepest;
}
