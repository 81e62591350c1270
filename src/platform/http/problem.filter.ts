import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Inject } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiError, codeForStatus } from '../../errors.js';
import { LOGGER, type Logger } from '../logger.js';
import { isOutage } from '../outage.js';

/** Turns whatever was thrown into RFC 9457 problem+json. What is not ours is logged whole and told in one sentence. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(@Inject(LOGGER) private readonly logger: Logger) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const reply = http.getResponse<FastifyReply>();
    const error = asApiError(thrown);
    if (error.status >= 500) this.logger.error({ err: thrown, requestId: request.id }, 'request failed');
    if (reply.raw.headersSent) return void reply.raw.destroy();
    if (error.status === 503 || error.status === 429) void reply.header('retry-after', retryAfter(error));
    if (error.status === 401) void reply.header('www-authenticate', 'Bearer');
    void reply.status(error.status).type('application/problem+json').send(problem(error, request.id));
  }
}

/** @returns seconds: what is full empties slowly, what is overloaded may be over it in a moment */
export const retryAfter = (error: ApiError): string => (error.code === 'queue_full' ? '30' : '2');

/** @returns the body of an error answer; `requestId` leads to it in the log */
export function problem(error: ApiError, requestId: string) {
  return {
    type: 'about:blank',
    title: error.code.replaceAll('_', ' '),
    status: error.status,
    code: error.code,
    detail: error.message,
    requestId,
    ...(error.fields.length > 0 ? { errors: error.fields } : {}),
  };
}

// What a request holds and the database cannot: a NUL or half a character (in a text, in JSON), a time or number that is
// out of range. Only named codes: any other bad value is our own mistake.
const unstorable = new Set(['22021', '22P05', '22P02', '22003', '22007', '22008']);

/** What the framework, the parser of bodies or the database threw, as an entry of our catalogue. */
export function asApiError(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown;
  if (thrown instanceof HttpException)
    return new ApiError(codeForStatus(thrown.getStatus()), undefined, [], { cause: thrown });
  const { statusCode, code: given } = (thrown ?? {}) as { statusCode?: number; code?: unknown };
  // The code of an abort is a number.
  const code = typeof given === 'string' ? given : undefined;
  if (isOutage(thrown)) return new ApiError('unavailable', undefined, [], { cause: thrown });
  if (code !== undefined && unstorable.has(code)) {
    return new ApiError(
      'bad_request',
      'A value in the request cannot be stored or compared: it holds a NUL or half a character, or is out of range.',
      [],
      { cause: thrown },
    );
  }
  if (statusCode && statusCode >= 400 && statusCode < 500)
    return new ApiError(codeForStatus(statusCode), undefined, [], { cause: thrown });
  return new ApiError('internal', undefined, [], { cause: thrown });
}
