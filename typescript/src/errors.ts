/**
 * Every error of this package, in one tree. The names are those of the Python SDK.
 *
 *     JobsError
 *     ├── ConfigError          a setting is unknown or has a bad value
 *     ├── ContractError        the other side answered something that is not the contract
 *     ├── ConnectionFailed     the server could not be reached
 *     │   └── RequestTimeout
 *     ├── WaitTimeoutError     the execution goes on
 *     ├── NotFinished          a result was asked for before the end
 *     ├── ExecutionFailed      a result was asked for and there is none
 *     ├── NotLoaded            the field is not part of what was read
 *     ├── NotSerializable      a value that JSON cannot carry
 *     └── RequestError         a request was refused; one class for each HTTP status
 *         ├── InvalidRequest 422 (MalformedRequest 400), Unauthorized 401, Forbidden 403, NotFound 404, MethodNotAllowed 405,
 *         ├── RequestTooSlow 408, Conflict 409 (IdempotencyConflict, IllegalTransition, KeyInUse, LeaseLost, LeaseHeld, MockStuck),
 *         ├── TooLarge 413, UnsupportedMedia 415, Misdirected 421, TooManyRequests 429
 *         └── ServerError 500 (Unavailable 503)
 *
 * What handlers throw and are thrown stands in `worker/errors.ts`.
 */

import type { Execution } from "./execution.js";

/** Something went wrong in blaxel-jobs. */
export class JobsError extends Error {
  override name = "JobsError";
}

/** A setting is unknown or has a value that it cannot have. */
export class ConfigError extends JobsError {
  override name = "ConfigError";
}

/** The other side answered something that is not the contract. */
export class ContractError extends JobsError {
  override name = "ContractError";
}

/** The server could not be reached, or the connection broke before the answer. */
export class ConnectionFailed extends JobsError {
  override name = "ConnectionFailed";
  /** The server may have got the request, and may have done what it asks for. */
  sent = true;
}

/** The server did not answer in time. */
export class RequestTimeout extends ConnectionFailed {
  override name = "RequestTimeout";
}

/** The execution had not ended when the wait did. It goes on; wait again or cancel it. */
export class WaitTimeoutError extends JobsError {
  override name = "WaitTimeoutError";
  /** As it was last seen. */
  execution?: Execution | undefined;
}

/** The execution has no result yet. */
export class NotFinished extends JobsError {
  override name = "NotFinished";
}

/** The execution failed or was cancelled, so it has no result. */
export class ExecutionFailed extends JobsError {
  override name = "ExecutionFailed";
  execution?: Execution | undefined;
}

/** The field is not part of what was read. Lists carry no inputs, tasks or results: refresh the execution first. */
export class NotLoaded extends JobsError {
  override name = "NotLoaded";
}

/** A value that JSON cannot carry. Use plain data: objects, arrays, strings, finite numbers, booleans, null. */
export class NotSerializable extends JobsError {
  override name = "NotSerializable";
  /** Where in the value it stands, such as `tasks[0].when`. */
  path?: string | undefined;
}

/** What an answer says of a refusal. */
export interface Refusal {
  status?: number;
  /** The field that is wrong, such as `tasks[0].duration`. */
  path?: string | undefined;
  requestId?: string | undefined;
  body?: unknown;
  /** Milliseconds after which the server asks to be called again. */
  retryAfter?: number | undefined;
}

/** The request was refused. */
export class RequestError extends JobsError {
  override name = "RequestError";
  /** The HTTP status. */
  declare status: number;
  declare path: string | undefined;
  declare requestId: string | undefined;
  /** The answer as it was read. */
  declare body: unknown;
  /** Milliseconds after which the server asks to be called again. */
  declare retryAfter: number | undefined;

  constructor(message: string, refusal?: Refusal) {
    super(message);
    Object.assign(this, { status: 400, ...refusal });
  }
}

/** A field of the request is missing, unknown or has a value that it cannot have. */
export class InvalidRequest extends RequestError {
  override name = "InvalidRequest";
}

/** The request is not readable. */
export class MalformedRequest extends InvalidRequest {
  override name = "MalformedRequest";
}

/** The API key is missing or wrong. */
export class Unauthorized extends RequestError {
  override name = "Unauthorized";
}

/** The API key does not allow this. */
export class Forbidden extends RequestError {
  override name = "Forbidden";
}

/** There is no such thing here. */
export class NotFound extends RequestError {
  override name = "NotFound";
}

/** This path does not know the method. */
export class MethodNotAllowed extends RequestError {
  override name = "MethodNotAllowed";
}

/** The request's body did not arrive in time. */
export class RequestTooSlow extends RequestError {
  override name = "RequestTooSlow";
}

/** The request does not go with the state of what it names. */
export class Conflict extends RequestError {
  override name = "Conflict";
}

/** The idempotency key or execution id was used before with another body. */
export class IdempotencyConflict extends Conflict {
  override name = "IdempotencyConflict";
}

/** The execution is in a status in which this cannot be done. */
export class IllegalTransition extends Conflict {
  override name = "IllegalTransition";
}

/** Another execution of this concurrency key has not ended. */
export class KeyInUse extends Conflict {
  override name = "KeyInUse";
}

/** Another worker runs this execution. */
export class LeaseHeld extends Conflict {
  override name = "LeaseHeld";
}

/** The lease on this task has expired, or another worker holds it. Nothing was changed. */
export class LeaseLost extends Conflict {
  override name = "LeaseLost";
}

/** The time of the mock server cannot go on: a handler keeps running while a client waits. */
export class MockStuck extends Conflict {
  override name = "MockStuck";
}

/** The body is larger than the server takes. */
export class TooLarge extends RequestError {
  override name = "TooLarge";
}

/** The body is not application/json. */
export class UnsupportedMedia extends RequestError {
  override name = "UnsupportedMedia";
}

/** The Host header names a server that this one does not answer for. */
export class Misdirected extends RequestError {
  override name = "Misdirected";
}

/** Too much at once. Try again later. */
export class TooManyRequests extends RequestError {
  override name = "TooManyRequests";
}

/** The server failed. */
export class ServerError extends RequestError {
  override name = "ServerError";
}

/** The server cannot do this now. Try again later. */
export class Unavailable extends ServerError {
  override name = "Unavailable";
}
