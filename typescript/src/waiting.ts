/** Waiting for one execution: long polls where the server has them, else looks with growing pauses. */

import { acrossJobs, backoff, call, checkedId, isPassing } from "./calls.js";
import { WaitTimeoutError } from "./errors.js";
import type { Execution } from "./execution.js";
import type { Schemas } from "./options.js";
import { invalid } from "./refusals.js";
import { type Connection, type Extra, isMissing } from "./transport.js";

/** How to wait. Times are milliseconds. */
export interface WaitOptions {
  /** 360,000 unless given. Infinity waits until the end. */
  maxWait?: number | undefined;
  /** Where the server cannot hold the answer: the longest pause between two looks. 3,000 unless given. */
  interval?: number | undefined;
  /** Ends the wait; the execution goes on. */
  signal?: AbortSignal | undefined;
  /** Throw ExecutionFailed for one that failed or was cancelled. */
  throwOnFailure?: boolean | undefined;
}

export const FIRST_PAUSE = 50;
/** After the deadline an answer is still taken for so long; two round trips, where those are longer. */
export const GRACE = 100;
const SLACK = 20;

const OF_JOB = "GET /jobs/{job}/executions/{executionId} metadata";

type Model = Schemas["JobExecution"];

/** The execution of this job, or of any. Throws InvalidRequest where it takes a job. */
export async function get(
  connection: Connection,
  job: string | undefined,
  id: string,
  extra?: Extra<typeof OF_JOB>,
): Promise<Model> {
  try {
    return (await request(connection, job, id, (op, parameters) => call(connection, op, parameters, extra)))!;
  } catch (error) {
    throw job === undefined && connection.isPlatform && isMissing(error) ? acrossJobs() : error;
  }
}

type Get = (op: typeof OF_JOB, parameters: { job: string; executionId: string }) => Promise<Model | undefined>;

function request(connection: Connection, job: string | undefined, id: string, perform: Get): Promise<Model | undefined> {
  const executionId = checkedId(id);
  if (job !== undefined) return perform(OF_JOB, { job, executionId });
  if (connection.isPlatform) throw acrossJobs();
  return (perform as (op: string, parameters: object) => Promise<Model>)("GET /executions/{executionId} metadata", { executionId });
}

/** The execution once it is done, through `read`. Throws WaitTimeoutError with the last one seen after `maxWait`. */
export async function waitFor<E extends Execution<any>>(
  connection: Connection,
  job: string | undefined,
  id: string,
  { maxWait = 360_000, interval = 3000, signal }: WaitOptions,
  read: (model: Model) => E,
): Promise<E> {
  checkWait({ maxWait, interval });
  if (maxWait === 0) {
    const model = await get(connection, job, id, { wait: 0, signal });
    if (model.done) return read(model);
    throw timeout(id, 0, read(model), undefined);
  }
  let now = connection.now();
  const deadline = now + maxWait;
  const most = Math.max(interval, 10);
  let model: Model | undefined;
  let lost: unknown;
  let step = FIRST_PAUSE;
  let failures = 0;
  let roundTrip = 0;
  for (;;) {
    let pause: number;
    const left = Math.max(deadline - now, 0);
    const wait = connection.isPlatform ? undefined : Math.floor(Math.min(30_000, left + SLACK) / 1000);
    // Until something was seen, a slow first connection is not cut off by a short wait.
    const grace = model ? Math.max(GRACE, 2 * roundTrip) : Math.max(GRACE, 1000 - left);
    try {
      model = await request(connection, job, id, (op, parameters) =>
        connection.perform(op, parameters, { wait, signal, timeout: left + grace }),
      );
      lost = undefined;
      failures = 0;
      if (model!.done) return read(model!);
      const took = connection.now() - now;
      if (wait && took >= wait * 500) {
        pause = 0;
        step = FIRST_PAUSE;
      } else {
        roundTrip = Math.max(roundTrip, took);
        // Many that wait do not all ask at the same moment.
        pause = Math.min(step, most) * (0.75 + 0.25 * connection.random());
        step = Math.min(step * 1.5, most);
      }
    } catch (error) {
      if (!isPassing(error)) throw error;
      lost = error;
      pause = backoff(connection, error, failures++);
    }
    now = connection.now();
    if (now >= deadline) throw timeout(id, maxWait + now - deadline, model && read(model), lost);
    if (pause > 0) {
      await connection.sleep(Math.min(pause, deadline - now), signal);
      now = connection.now();
    }
  }
}

/** Throws InvalidRequest unless both are milliseconds, 0 or more. */
export function checkWait(times: { maxWait?: number | undefined; interval?: number | undefined }): void {
  for (const [path, ms] of Object.entries(times)) {
    if (!(typeof ms === "number" && ms >= 0 && (ms < Infinity || path === "maxWait"))) {
      throw invalid(`${path} takes milliseconds, 0 or more, not ${ms}`, path);
    }
  }
}

function timeout(id: string, waited: number, seen: Execution | undefined, lost: unknown): WaitTimeoutError {
  const last = seen ? [seen.status, seen.waitingFor].filter(Boolean).join(", waiting for ") : "never seen";
  const because = lost ? ` (${(lost as Error).message})` : "";
  const error = new WaitTimeoutError(`execution ${id} had not ended after ${Math.round(waited)} ms: ${last}${because}`, {
    cause: lost,
  });
  error.execution = seen;
  return error;
}
