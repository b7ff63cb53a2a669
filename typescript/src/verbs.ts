/** What is done to executions: what is sent, what an answer means, and what is done when one is lost. */

import { backoff, call, checkedId, isPassing } from "./calls.js";
import { ConnectionFailed, NotFound } from "./errors.js";
import type { CreateJobExecutionRequest, CreateOptions, Schemas } from "./options.js";
import type { Connection } from "./transport.js";
import { get } from "./waiting.js";

/**
 * Create an execution. However often it is sent, it is created once: the platform knows no idempotency keys, so there it is sent
 * again only when it was not sent, or has an id of the caller's.
 */
export async function create(
  connection: Connection,
  job: string,
  request: CreateJobExecutionRequest | { input?: unknown },
  options?: CreateOptions,
): Promise<Schemas["CreateJobExecutionOutput"] | Schemas["JobExecution"]> {
  const chosen = options && (await import("./options.js")).chosen(options);
  const body = { ...request, ...chosen } as CreateJobExecutionRequest;
  const { executionId } = body;
  const idempotencyKey = body.idempotencyKey ? undefined : connection.newKey();
  if (connection.doubtful && (await import("./options.js")).isOurs(body)) await settle(connection, job);
  for (let tries = 0; ; ) {
    let lost: unknown;
    try {
      const sent = connection.isPlatform ? (await import("./platform.js")).forPlatform(body) : body;
      return await connection.perform("POST /jobs/{job}/executions executionId", { job }, { body: sent, idempotencyKey });
    } catch (error) {
      // The platform has no keys: that the id is taken means that the try whose answer was lost has made it.
      if (tries && (error as { status?: number }).status === 409 && connection.isPlatform && executionId) {
        return get(connection, job, executionId);
      }
      if (!isPassing(error) || tries >= connection.settings.retries) throw error;
      lost = error;
    }
    const harmless = executionId || (lost instanceof ConnectionFailed && !lost.sent);
    do {
      await connection.sleep(backoff(connection, lost, tries++));
      if (harmless) break;
      await settle(connection, job);
      if (!connection.contract && (connection.isPlatform || tries >= connection.settings.retries)) throw lost;
    } while (!connection.contract);
  }
}

/** Ask for something harmless that both have, unless it is known whether the other side is the platform. */
async function settle(connection: Connection, job: string): Promise<void> {
  if (connection.contract === undefined) await connection.perform("GET /jobs/{job} metadata", { job }).catch(() => {});
}

const STATUS = "GET /jobs/{job}/executions/{executionId}/status status";

export async function status(connection: Connection, job: string, id: string): Promise<string> {
  const executionId = checkedId(id);
  if (connection.contract || !connection.missing.has(STATUS)) {
    try {
      return (await call(connection, STATUS, { job, executionId }))!.status;
    } catch (error) {
      if (connection.contract || !(error instanceof NotFound)) throw error;
      // No such execution, or no such route: the platform has none.
      connection.missing.add(STATUS);
    }
  }
  return (await get(connection, job, id)).status;
}

/** Which page of a list. */
export interface PageOptions {
  /** Rows on the page, 1 to 1000; 100 unless given. */
  limit?: number | undefined;
  /** `nextCursor` of the page before. */
  cursor?: string | undefined;
}

/** Which executions. */
export interface ListOptions extends PageOptions {
  /** Rows to skip. */
  offset?: number | undefined;
  /** Only those with this status, or one of several. */
  status?: string | string[] | undefined;
  /** Only those of this batch. */
  batch?: string | undefined;
}
