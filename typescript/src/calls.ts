/** Calls that are made again: when, how often and after how long. */

import { ConnectionFailed, type InvalidRequest, RequestError } from "./errors.js";
import { invalid } from "./refusals.js";
import type { Answer, Connection, Extra, Op, Parameters } from "./transport.js";

/** What may be gone the next time: no connection, 408, 429, 5xx. */
export function isPassing(error: unknown): error is ConnectionFailed | RequestError {
  if (error instanceof RequestError) return error.status >= 500 || error.status === 429 || error.status === 408;
  return error instanceof ConnectionFailed;
}

/** Milliseconds until the next try: what the server asks for, up to a minute, else exponential with full jitter. */
export function backoff(connection: Connection, error: unknown, tries: number): number {
  const asked = error instanceof RequestError ? error.retryAfter : undefined;
  return asked !== undefined ? Math.min(asked, 60_000) : connection.random() * Math.min(8000, 500 * 2 ** Math.min(tries, 16));
}

/**
 * Perform an operation, again after a failure that may pass. Throws what the last try threw.
 *
 * `done`: says whether an error means that the first try, whose answer was lost, has done it all; the answer is undefined then.
 */
export async function call<O extends Op>(
  connection: Connection,
  op: O,
  parameters: Parameters<O>,
  extra?: Extra<O>,
  done?: (error: unknown) => boolean,
): Promise<Answer<O> | undefined> {
  for (let tries = 0; ; tries++) {
    try {
      return await connection.perform(op, parameters, extra);
    } catch (error) {
      if (tries && done?.(error)) return undefined;
      if (!isPassing(error) || tries >= connection.settings.retries) throw error;
      await connection.sleep(backoff(connection, error, tries), extra?.signal);
    }
  }
}

/** Throws InvalidRequest for what cannot be an id, before it becomes a path of something else. */
export function checkedId(id: unknown): string {
  if (typeof id === "string" && !/^\.{0,2}$/.test(id)) return id;
  throw invalid(`${JSON.stringify(id)} is not an execution id`, "executionId");
}

/** What is said where the other side is the platform and no job was named. */
export function acrossJobs(): InvalidRequest {
  return invalid("the platform has no routes across jobs: name one", "job");
}
