/** One task, from its lease to its report: the handler is called, and ends, or is made to. */

import type { JobDef } from "../define.js";
import { InvalidRequest, LeaseLost, NotSerializable } from "../errors.js";
import { DuplicateStep, InvalidInput, InvalidOutput, PermanentError, RetryAfter, StepTimeout, Suspended } from "../handling.js";
import type { Schemas } from "../options.js";
import type { Step } from "../step.js";
import { type End, Hold, type Told } from "./hold.js";
import type { Lease, Leases } from "./leases.js";
import type { Say } from "./link.js";
import { text, wellFormed } from "./notes.js";
import { keep, Steps } from "./steps.js";
import { Verbs } from "./verbs.js";

/** Milliseconds that a handler which was stopped gets to unwind. One that does not heed its signal is not waited for. */
export const CLEANUP = 1000;
const MOST_MESSAGE = 4096;
const MOST_TRACE = 8192;

/** A task that a worker runs. */
export class Run {
  readonly hold: Hold;
  /** Nothing is left to tell: the outcome was taken, or the lease is another's, or soon nobody's. */
  reported = false;
  readonly #job: JobDef;
  readonly #say: Say;
  #stopped: (() => void) | undefined;

  constructor(lease: Lease, job: JobDef, leases: Leases, say: Say) {
    this.hold = new Hold(lease, leases, say);
    this.#job = job;
    this.#say = say;
  }

  /** Run the handler and report. Done when the handler has ended, or was stopped and has had its time to end. */
  async run(): Promise<void> {
    const { hold } = this;
    const { timeoutMs } = hold.lease;
    if (hold.gone) return; // before it began
    let timer: ReturnType<typeof setTimeout> | undefined;
    if (timeoutMs !== undefined && timeoutMs < 2 ** 31) {
      timer = setTimeout(() => {
        if (hold.end !== undefined) return; // the time of an execution that is paused stands still
        this.#log("warning", "time is up");
        this.reported = true;
        this.abandon("over");
      }, timeoutMs);
    }
    const cut = new Promise<undefined>((resolve) => {
      this.#stopped = () => setTimeout(resolve, CLEANUP);
    });
    hold.controller.signal.addEventListener("abort", () => this.#stopped?.());
    try {
      await this.#report(await Promise.race([this.#outcome(), cut]));
    } finally {
      clearTimeout(timer);
      hold.close();
    }
  }

  /** The lease is gone or given back: stop the handler where it can be stopped, and report nothing. */
  abandon(end: End): void {
    this.hold.finish(end);
  }

  async #outcome(): Promise<Told | undefined> {
    try {
      const result = await call(this.#job, this.hold, this.#say);
      return this.hold.gone ? undefined : { type: "completed", result };
    } catch (error) {
      if (this.hold.gone) return undefined;
      if (this.hold.told) return { type: "released" };
      this.#log("info", `handler failed (${nameOf(error)})`);
      return failed(error);
    }
  }

  async #report(outcome: Told | undefined): Promise<void> {
    const { hold } = this;
    if (hold.end === "lost" || hold.end === "suspended") this.reported = true;
    if (hold.gone || !outcome) return;
    try {
      await hold.deliver(hold.told ? { type: "released" } : outcome);
      this.reported = true;
    } catch (error) {
      if (error instanceof LeaseLost) {
        this.reported = true;
        if (!hold.told) this.#log("warning", "lease lost, result refused"); // else it was only to be given back
      } else if (!(error instanceof Suspended)) throw error; // else the lease was given back meanwhile
    }
  }

  #log(level: "info" | "warning", what: string): void {
    const { job, executionId, taskId, attempt } = this.hold.lease;
    this.#say(level, `${what}: job ${job} execution ${executionId} task ${taskId} attempt ${attempt}`);
  }
}

/** The result of the handler, plain. Throws what it throws, InvalidInput, InvalidOutput, NotSerializable, and PermanentError for a
 * verb that it has not awaited. */
async function call(job: JobDef, hold: Hold, say: Say): Promise<unknown> {
  const payload = await checked(InvalidInput, () => job.checkInput(hold.lease.input));
  const verbs = new Verbs();
  let returned: unknown;
  try {
    returned = await job.run(stepOf(hold, new Steps(hold, say), verbs), payload);
  } finally {
    hold.left = true;
  }
  verbs.check();
  return keep(await checked(InvalidOutput, () => job.checkOutput(returned)), "the result");
}

async function checked<T>(Misfit: typeof InvalidInput, check: () => Promise<T>): Promise<T> {
  try {
    return await check();
  } catch (error) {
    throw error instanceof InvalidRequest ? new Misfit(error.message) : error;
  }
}

function stepOf(hold: Hold, steps: Steps, verbs: Verbs): Step {
  const { executionId, taskId, job, attempt, index, metadata, env } = hold.lease;
  return {
    run: (name, fn, options) => verbs.begin("run", name, steps.run(name, fn, options)),
    sleep: (name, ms) => verbs.begin("sleep", name, steps.sleep(name, ms)),
    waitForEvent: (name, options) => verbs.begin("waitForEvent", name, steps.waitForEvent(name, options?.timeout)),
    progress(current, total, message) {
      for (const value of [current, total ?? 0]) {
        if (typeof value !== "number" || !Number.isFinite(value))
          throw new TypeError(`progress takes finite numbers, not ${value}`);
      }
      hold.check();
      hold.notes.progress({
        current,
        ...(total !== undefined && { total }),
        ...(message !== undefined && { message: text(message) }),
      });
    },
    log: hold.notes.log,
    signal: hold.controller.signal,
    executionId,
    taskId,
    job,
    attempt,
    index,
    metadata,
    env: env as Record<string, string>,
    results: {},
  };
}

const KINDS: [new (...given: any[]) => Error, string][] = [
  [InvalidInput, "invalid_input"],
  [InvalidOutput, "invalid_output"],
  [NotSerializable, "not_serializable"],
  [StepTimeout, "timeout"],
  [PermanentError, "permanent"],
  // What the handler's author has to mend.
  [DuplicateStep, "permanent"],
];

/** The report of a handler that threw. */
function failed(error: unknown): Told {
  const kind = KINDS.find(([cls]) => error instanceof cls)?.[1] ?? "error";
  const message = text(error instanceof Error ? error.message : error, MOST_MESSAGE);
  const trace = traceOf(error);
  const failure: Schemas["ReportedFailure"] = { kind, type: nameOf(error), message, ...(trace && { trace }) };
  return { type: "failed", failure, ...(error instanceof RetryAfter && { retryAfterMs: Math.ceil(error.ms) }) };
}

function nameOf(error: unknown): string {
  return text(error instanceof Error ? error.name : typeof error, 255) || "Error";
}

const OURS = new URL(".", import.meta.url).href;

/** The stack without the frames that are ours and the runtime's, and those of what caused it. */
function traceOf(error: unknown): string | undefined {
  const parts: string[] = [];
  for (let one = error; one instanceof Error && parts.length < 5; one = one.cause) {
    const lines = String(one.stack ?? one).split("\n");
    parts.push(lines.filter((line) => !/^\s+at .*(node:internal|\(<anonymous>\)$)/.test(line) && !line.includes(OURS)).join("\n"));
  }
  return parts.length ? wellFormed(parts.join("\ncaused by: ")).slice(0, MOST_TRACE) : undefined;
}
