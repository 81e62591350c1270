/**
 * The one catalogue of what can go wrong. A code is a promise to callers: it never changes its meaning.
 * `ApiError` ends a request; `PermanentFailure` ends a job. Any other error in a job means "try again".
 */
const catalogue = {
  bad_request: [400, 'The request could not be understood.'],
  validation_failed: [400, 'Some fields of the request are not valid.'],
  unauthenticated: [401, 'A valid API key or token is required: send it as "Authorization: Bearer …".'],
  forbidden: [403, 'This key or token does not carry the scope that this call needs.'],
  not_found: [404, 'There is no such thing, or you may not see it.'],
  method_not_allowed: [405, 'This address does not answer that method.'],
  request_timeout: [408, 'The request came too slowly: send it again over a faster connection.'],
  conflict: [409, 'The request conflicts with what is already there.'],
  already_exists: [409, 'Something with this name is already there.'],
  idempotency_in_progress: [409, 'A request with this Idempotency-Key is still running: ask again in a moment.'],
  gone: [410, 'This is no longer kept.'],
  payload_too_large: [413, 'The request is larger than this service accepts.'],
  unsupported_type: [415, 'Files of this type cannot be read.'],
  unprocessable: [422, 'The request is well formed but cannot be carried out.'],
  empty_file: [422, 'The file is empty.'],
  idempotency_mismatch: [422, 'This Idempotency-Key was used before with another request.'],
  url_not_allowed: [422, 'This address may not be called from here.'],
  too_many_requests: [429, 'Too many requests: slow down and try again.'],
  too_many_uploads: [429, 'Too many uploads at the same time: send the next one when one of them has ended.'],
  queue_full: [429, 'Too many documents are waiting already: send more when some of them are ready.'],
  headers_too_large: [431, 'The headers of the request are larger than this service accepts.'],
  internal: [500, 'Something went wrong on our side. The request id leads to it in the log.'],
  overloaded: [503, 'The service has more to do than it can right now: try again in a moment.'],
  unavailable: [503, 'A part this service needs is not available right now: try again shortly.'],
  storage_full: [507, 'There is no room left to store this.'],
} as const satisfies Record<string, readonly [number, string]>;

export type ErrorCode = keyof typeof catalogue;

export interface FieldError {
  field: string;
  message: string;
}

/** Ends a request with `status` and the RFC 9457 body that carries `code`. */
export class ApiError extends Error {
  readonly status: number;

  constructor(
    readonly code: ErrorCode,
    message: string = catalogue[code][1],
    readonly fields: FieldError[] = [],
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.status = catalogue[code][0];
  }
}

/** One and the same answer for what is absent and for what the caller may not see. */
export const notFound = (): ApiError => new ApiError('not_found');

/** A field of the request is wrong in a way only the service could tell. */
export const invalidField = (field: string, message: string): ApiError =>
  new ApiError('validation_failed', undefined, [{ field, message }]);

/** The catalogue's code for a bare HTTP status, for errors that the framework made. */
export function codeForStatus(status: number): ErrorCode {
  const codes = Object.keys(catalogue) as ErrorCode[];
  return codes.find((code) => catalogue[code][0] === status) ?? (status < 500 ? 'bad_request' : 'internal');
}

/**
 * A job cannot succeed however often it runs. `code` and `message` are shown to the document's owner: `message` is a
 * sentence a person can act on. `retryable` says whether asking again later could help without changing the input.
 */
export class PermanentFailure extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly retryable = false,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
