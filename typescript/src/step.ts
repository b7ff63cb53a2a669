/** What a handler is given: the steps of its task, and what is known of it. A worker makes it. */

/** How a step is tried. Durations are milliseconds. */
export interface StepOptions {
  /** Tries after the first that failed. */
  maxRetries?: number | undefined;
  /** Between two tries, always the same; growing waits unless given. */
  retryDelay?: number | undefined;
  /** Of each try, after which its signal is aborted and StepTimeout thrown. */
  timeout?: number | undefined;
}

/** A handler's log: lines with fields, kept as events of its execution. */
export interface Log {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warning(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

/**
 * The task, as its handler sees it. Several steps may run at once, as with `Promise.all`. Await them all: a handler that returns before
 * one of them has ended fails its task for good, with an error that names it.
 *
 * When the execution is paused, or waits for long, the verbs throw Suspended: let it pass, and the handler is called again later,
 * with its steps stored. When the lease is lost they throw LeaseLost.
 */
export interface Step {
  /**
   * Call `fn` once: what it returns is stored under this name, and from then on returned without a call. It is plain data; what
   * returns nothing gives null. A step that throws throws here. Throws DuplicateStep for a second use of the name, and
   * NotSerializable, also above 1 MB. The signal that `fn` is given is aborted at its timeout, and when the task is to end.
   */
  run<T>(name: string, fn: (signal: AbortSignal) => T | Promise<T>, options?: StepOptions): Promise<T>;
  /** Sleep durably, for so many milliseconds: a crash does not begin it anew, and a long one takes up no slot of the worker. */
  sleep(name: string, ms: number): Promise<void>;
  /** Wait for an event that is sent to the execution, and return its payload. Also one that was sent before. Throws StepTimeout when
   * it does not come within `timeout` milliseconds. */
  waitForEvent<T = any>(name: string, options?: { timeout?: number | undefined }): Promise<T>;
  /** Tell how far the handler is. Never waits: of many in a short time the last one counts. */
  progress(current: number, total?: number, message?: string): void;
  readonly log: Log;
  /** Aborted once the task was cancelled, its lease lost or its time up: nothing that the handler still returns is kept. */
  readonly signal: AbortSignal;
  readonly executionId: string;
  readonly taskId: string;
  readonly job: string;
  /** 1 at the first try. */
  readonly attempt: number;
  /** The task's place in its execution, from 0. */
  readonly index: number;
  /** The user's own fields of the execution. */
  readonly metadata: Record<string, unknown>;
  /** The environment variables of the execution. */
  readonly env: Record<string, string>;
  /** By task, what those returned that this one depends on. */
  readonly results: Record<string, any>;
}
