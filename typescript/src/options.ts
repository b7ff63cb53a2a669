/** What may be said of a new execution, and the request that comes of it. */

import type { components } from "./contract.js";
import { invalid } from "./refusals.js";

export type Schemas = components["schemas"];
export type CreateJobExecutionRequest = Schemas["CreateJobExecutionRequest"];

/** How long a failed task waits for its next try: `initial` before the first, `factor` times more before each next one, `max` at
 * most. With full jitter that is the bound of a random wait. Milliseconds. */
export interface RetryPolicy {
  initial?: number;
  factor?: number;
  max?: number;
  jitter?: "full" | "none";
}

/** What may be said of a new execution. Durations are milliseconds. */
export interface CreateOptions {
  executionId?: string | undefined;
  idempotencyKey?: string | undefined;
  /** Executions of the job with the same key run one after the other, or as many at once as its definition says. */
  concurrencyKey?: string | undefined;
  /** While the concurrency key is in use: `queue` behind, `coalesce` with a pending one, or `reject` (KeyInUse). */
  onConflict?: "queue" | "coalesce" | "reject" | undefined;
  priority?: "critical" | "high" | "medium" | "low" | undefined;
  name?: string | undefined;
  description?: string | undefined;
  tags?: string[] | undefined;
  metadata?: Record<string, unknown> | undefined;
  /** When it may start: a Date, or ISO text with its offset. */
  runAt?: Date | string | undefined;
  /** How long until it may start. */
  delay?: number | undefined;
  /** False: it waits for `start()`. */
  autoStart?: boolean | undefined;
  /** Tries of a task after the first that failed. */
  maxRetries?: number | undefined;
  /** The time between two tries, always the same. */
  retryDelay?: number | undefined;
  retryPolicy?: RetryPolicy | undefined;
  /** From its first start to its end, without the time that it is paused. */
  timeout?: number | undefined;
  /** The first task that fails for good ends the others. */
  failFast?: boolean | undefined;
  env?: Record<string, string> | undefined;
  /** MB for each task. */
  memory?: number | undefined;
  /** False: throw TooManyRequests instead of queueing when the job is at its limit. */
  allowQueue?: boolean | undefined;
}

/** The options that are set, by the contract's names. Throws InvalidRequest for a duration that is none. */
export function chosen<T extends object>(options: T): Record<string, any> {
  const wire: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    if (name === "delay" || name === "retryDelay" || name === "timeout") wire[`${name}Ms`] = milliseconds(name, value);
    else if (name === "runAt") wire[name] = instant(value);
    else if (name === "retryPolicy") wire[name] = wirePolicy(value);
    else wire[name] = value;
  }
  return wire;
}

export function wirePolicy({ initial, max, ...rest }: RetryPolicy): Schemas["RetryPolicy"] {
  return {
    ...rest,
    ...(initial !== undefined && { initialMs: milliseconds("initial", initial) }),
    ...(max !== undefined && { maxMs: milliseconds("max", max) }),
  } as Schemas["RetryPolicy"];
}

/** Whole milliseconds, never less than asked for. Throws InvalidRequest. */
export function milliseconds(name: string, value: unknown): number {
  if (typeof value === "number" && value >= 0 && value < Infinity) return Math.ceil(value);
  throw invalid(`${name} takes milliseconds, 0 or more, not ${value}`, name);
}

function instant(value: Date | string): string {
  if (typeof value === "string") return value;
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString();
  throw invalid(`runAt is a Date or ISO text such as 2026-01-31T08:00:00Z, not ${value}`, "runAt");
}

/** Fields that change what an execution does, and that the platform does not have. */
export const NEW_ON_OURS =
  /^(autoStart|runAt|delayMs|maxRetries|retryDelayMs|retryPolicy|timeoutMs|failFast|concurrencyKey|onConflict)$/;

/** Does it say what the platform reads otherwise, or not at all. */
export function isOurs(body: object): boolean {
  return Object.keys(body).some((name) => name === "input" || NEW_ON_OURS.test(name));
}
