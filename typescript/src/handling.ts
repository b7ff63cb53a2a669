/** What handlers throw, and what they are thrown. */

import { JobsError } from "./errors.js";

/** Thrown by a handler, or a step, for what no other try will mend: the task fails at once, whatever its retries. */
export class PermanentError extends JobsError {
  override name = "PermanentError";
}

/** Thrown by a handler, or a step, that failed and knows when to try again. It uses up a retry like any error. */
export class RetryAfter extends JobsError {
  override name = "RetryAfter";
  readonly ms: number;

  constructor(ms: number, message = `try again after ${ms} ms`) {
    super(message);
    if (!(ms >= 0 && ms < Infinity)) throw new RangeError(`RetryAfter takes a finite number of milliseconds, 0 or more, not ${ms}`);
    this.ms = ms;
  }
}

/** Two steps of one task have the same name, so that a replay could not tell them apart. */
export class DuplicateStep extends JobsError {
  override name = "DuplicateStep";
}

/** A step took longer than its timeout, or the event that was waited for did not come in time. */
export class StepTimeout extends JobsError {
  override name = "StepTimeout";
}

/** The handler returned a value that is not what the job's `output` promises. */
export class InvalidOutput extends JobsError {
  override name = "InvalidOutput";
}

/** The task's input is not what the job's `input` takes. */
export class InvalidInput extends JobsError {
  override name = "InvalidInput";
}

/** Unwinds a handler whose task goes on later, from what its steps have stored. Let it pass: `finally` runs, nothing is lost. */
export class Suspended extends JobsError {
  override name = "Suspended";
}
