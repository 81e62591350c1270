import type { LoggerService } from '@nestjs/common';
import { pino, stdTimeFunctions, type Logger } from 'pino';
import type { Config } from '../config.js';

export type { Logger } from 'pino';

/** Nest's token for the process's logger. */
export const LOGGER = Symbol('LOGGER');

// Whatever is logged by mistake under one of these names is blanked, at the top and one level down. Document text,
// prompts, keys and secrets are never logged on purpose.
const secret = [
  'authorization',
  'apiKey',
  'key',
  'secret',
  'token',
  'password',
  'text',
  'content',
  'prompt',
  'query',
  'body',
];
const redacted = secret.flatMap((name) => [name, `*.${name}`]);

export function makeLogger(config: Config): Logger {
  return pino({
    level: config.logLevel,
    base: { role: config.role },
    timestamp: stdTimeFunctions.isoTime,
    serializers: { err: describe },
    redact: { paths: [...redacted, 'headers.authorization', 'req.headers.authorization'], censor: '[hidden]' },
  });
}

/** An error without its baggage: a database error carries the statement's parameters, and those are document text. */
function describe(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { name, message, stack, cause } = error;
  const { code } = error as { code?: unknown };
  return { type: name, message, code, stack, ...(cause === undefined ? {} : { cause: describe(cause) }) };
}

/** Lets the framework's own lines go to pino: its chatter at debug, its warnings and errors as they are. */
export class NestLogger implements LoggerService {
  constructor(private readonly logger: Logger) {}

  log(message: unknown, context?: unknown): void {
    this.logger.debug({ context }, String(message));
  }

  warn(message: unknown, context?: unknown): void {
    this.logger.warn({ context }, String(message));
  }

  error(message: unknown, ...rest: unknown[]): void {
    const error = message instanceof Error ? message : undefined;
    this.logger.error({ err: error, context: rest.at(-1) }, error?.message ?? String(message));
  }
}
