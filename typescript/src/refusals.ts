/** Which error a refusal is. */

import {
  Conflict,
  Forbidden,
  IdempotencyConflict,
  IllegalTransition,
  InvalidRequest,
  KeyInUse,
  LeaseHeld,
  LeaseLost,
  MalformedRequest,
  MethodNotAllowed,
  Misdirected,
  MockStuck,
  NotFound,
  RequestError,
  RequestTooSlow,
  ServerError,
  TooLarge,
  TooManyRequests,
  Unauthorized,
  Unavailable,
  UnsupportedMedia,
} from "./errors.js";

/** What is refused before it is sent; `path`: the field that is wrong. */
export function invalid(message: string, path?: string): InvalidRequest {
  return new InvalidRequest(message, { status: 422, path });
}

/** The class for an HTTP status and, where the server says more, its error word. */
export function errorClass(status: number, word: unknown): typeof RequestError {
  const classes: Record<number | string, typeof RequestError> = {
    400: MalformedRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    408: RequestTooSlow,
    409: Conflict,
    413: TooLarge,
    415: UnsupportedMedia,
    421: Misdirected,
    422: InvalidRequest,
    429: TooManyRequests,
    503: Unavailable,
    idempotency_conflict: IdempotencyConflict,
    illegal_transition: IllegalTransition,
    key_in_use: KeyInUse,
    lease_held: LeaseHeld,
    lease_lost: LeaseLost,
    mock_stuck: MockStuck,
  };
  const named = status === 409 && classes[String(word)];
  return named || (classes[status] ?? (status >= 500 ? ServerError : RequestError));
}
