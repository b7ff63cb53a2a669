/** The worker: claims tasks into its slots, runs their handlers, keeps their leases alive. */

import type { JobDef } from "../define.js";
import { ConfigError, type JobsError, LeaseLost } from "../errors.js";
import { resolve, type Settings } from "../settings.js";
import { type Beat, keyOf, type Pulse, startPulse } from "./heartbeat.js";
import { type Lease, Leases } from "./leases.js";
import type { Say } from "./link.js";
import { CLEANUP, Run } from "./run.js";

export interface WorkerOptions extends Settings {
  /** Those that it serves. */
  jobs: JobDef<any, any, any>[] | Record<string, JobDef<any, any, any>>;
  /** Serve only the jobs of these queues. */
  queues?: string[] | undefined;
  /** How many tasks it runs at once. 8 unless given. */
  slots?: number | undefined;
  /** Milliseconds that what runs gets to end, when the worker is stopped. 10,000 unless given. */
  grace?: number | undefined;
  /** What the worker's id begins with. The machine's name unless given. */
  name?: string | undefined;
  /** Called before the first task is claimed; what it throws keeps the worker from starting. */
  onStart?: (() => unknown) | undefined;
  /** Called after the last task. */
  onStop?: (() => unknown) | undefined;
  /** Called when the server has first answered. */
  onReady?: (() => void) | undefined;
  /** Given what goes wrong and right. Warnings and errors go to the console unless given. */
  say?: Say | undefined;
}

/** Runs the handlers of jobs for a server: `start` and `stop`, or `run` for a process that does nothing else. */
export class Worker {
  /** Another one for each start. */
  readonly id: string;
  /** The names of the jobs that it serves. */
  readonly jobs: string[];
  readonly #byName: Map<string, JobDef>;
  readonly #options: WorkerOptions;
  readonly #slots: number;
  readonly #leases: Leases;
  readonly #say: Say;
  readonly #held = new Map<string, Run>();
  readonly #tasks = new Set<Promise<void>>();
  #pulse: Pulse | undefined;
  #running = 0;
  #stopping = false;
  #refused: ((error: JobsError) => void) | undefined;
  #serving: Promise<void> | undefined;
  #freed: () => void = () => {};

  /** Throws ConfigError. No I/O. */
  constructor(options: WorkerOptions) {
    const { jobs, queues, slots = 8, name, onReady, say = toConsole, onStart, onStop, grace, ...settings } = options;
    if (!(Number.isInteger(slots) && slots >= 1)) throw new ConfigError(`slots is 1 or more, not ${slots}`);
    const all = Array.isArray(jobs) ? jobs : Object.values(jobs);
    const served = all.filter((job) => !queues || queues.includes(job.queue ?? "default"));
    if (!served.length)
      throw new ConfigError(`a worker needs a job to serve${queues ? ` of the queues ${queues.join(", ")}` : ""}`);
    this.id = identity(name);
    this.jobs = [...new Set(served.map((job) => job.name))];
    this.#byName = new Map(served.map((job) => [job.name, job]));
    this.#options = options;
    this.#slots = slots;
    this.#say = say;
    this.#leases = new Leases(resolve(settings), this.id, { onReady, onRefused: (error) => this.#refused?.(error), say });
    this.#leases.register(served);
  }

  /** How many tasks it runs now. */
  get running(): number {
    return this.#running;
  }

  /** Serve. A server that does not answer is waited for. Throws Unauthorized, Forbidden and ConfigError when the server answers, and
   * not as one that it can work for. */
  async start(): Promise<void> {
    if (this.#serving) throw new ConfigError("a worker is started once: make another one");
    await this.#leases.open();
    this.#pulse = await startPulse(this.#leases, this.jobs, (found) => this.#beaten(found));
    try {
      await this.#options.onStart?.();
    } catch (error) {
      this.#pulse.stop();
      throw error;
    }
    this.#serving = this.#serve();
  }

  /** Take no more work, give what runs `grace` milliseconds to end, then stop it and give it back. Twice does no harm. */
  async stop({ grace = this.#options.grace ?? 10_000 } = {}): Promise<void> {
    if (!this.#serving || this.#stopping) return this.#serving;
    this.#stopping = true;
    this.#leases.interrupt();
    this.#freed();
    if (!(await within(grace, this.#serving))) {
      for (const run of [...this.#held.values()]) run.abandon("over");
      await within(CLEANUP, this.#serving);
    }
    await Promise.all([...this.#held.values()].map((run) => this.#release(run)));
    this.#pulse?.stop();
    this.#leases.close();
    try {
      await this.#options.onStop?.();
    } catch (error) {
      this.#say("error", `onStop failed: ${error}`);
    }
  }

  /** Serve in this process until SIGTERM or SIGINT, then finish or give back what runs; a second signal ends the process at once.
   * Throws as `start`, and what the server refuses the worker with later. */
  async run(): Promise<void> {
    const { process } = globalThis;
    let asked = false;
    let end: () => void = () => {};
    const ended = new Promise<void>((resolve, reject) => {
      end = resolve;
      this.#refused = reject;
    });
    ended.catch(() => {});
    const handle = (_: string, number: number) => {
      if (asked) process.exit(128 + number);
      asked = true;
      end();
    };
    const signals = ["SIGTERM", "SIGINT"] as const;
    for (const signal of signals) process.on(signal, handle);
    // The event loop is kept alive, also while nothing is under way.
    const alive = setInterval(() => {}, 2 ** 30);
    try {
      await this.start();
      await ended;
    } finally {
      await this.stop();
      clearInterval(alive);
      for (const signal of signals) process.off(signal, handle);
    }
  }

  /** As `stop`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #serve(): Promise<void> {
    while (!this.#stopping) {
      const free = this.#slots - this.#running;
      if (free > 0) {
        for (const lease of await this.#leases.claim(this.jobs, free)) this.#begin(lease);
      } else {
        await new Promise<void>((resolve) => {
          this.#freed = resolve;
        });
      }
    }
    while (this.#tasks.size) await Promise.all(this.#tasks);
  }

  #begin(lease: Lease): void {
    const run = new Run(lease, this.#byName.get(lease.job)!, this.#leases, this.#say);
    const key = keyOf(lease);
    const { task, token } = lease;
    const held = { task, token };
    run.hold.onGone = (end) => {
      this.#pulse?.tell({ drop: held });
      // What is stopped with the worker is held until it is given back.
      if (end !== "over" || run.reported) this.#held.delete(key);
    };
    this.#held.set(key, run);
    this.#pulse?.tell({ hold: held, every: this.#leases.heartbeatEvery, timeout: this.#leases.lease / 3 });
    if (this.#stopping) return; // what came too late is given back with the rest
    this.#running += 1;
    const task_ = this.#finish(key, run);
    this.#tasks.add(task_);
    task_.finally(() => this.#tasks.delete(task_));
  }

  async #finish(key: string, run: Run): Promise<void> {
    const { task, token, executionId, taskId } = run.hold.lease;
    try {
      await run.run();
    } catch (error) {
      this.#say("error", `report failed, the lease will run out: execution ${executionId} task ${taskId}: ${error}`);
      run.reported = true;
    }
    this.#running -= 1;
    this.#freed();
    // What was stopped with the worker is held until it is given back.
    if (run.reported || !this.#stopping) {
      this.#held.delete(key);
      this.#pulse?.tell({ drop: { task, token } });
    }
  }

  #beaten({ lost, stop, error }: Beat): void {
    this.#leases.heard(error === undefined ? undefined : new Error(error));
    for (const ref of lost) this.#held.get(keyOf(ref))?.abandon("lost");
    for (const ref of stop) this.#held.get(keyOf(ref))?.hold.finish("stopped");
  }

  async #release({ hold }: Run): Promise<void> {
    const { task, token } = hold.lease;
    try {
      await this.#leases.report({ task, token, type: "released" });
    } catch (error) {
      if (!(error instanceof LeaseLost)) this.#say("warning", `release failed, the lease will run out: ${error}`);
    }
  }
}

/** A worker for a server; see `Worker`. No I/O. */
export function createWorker(options: WorkerOptions): Worker {
  return new Worker(options);
}

/** Has it ended within so many milliseconds. */
async function within(ms: number, ended: Promise<unknown>): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), Math.min(ms, 2 ** 31 - 1));
  });
  try {
    return await Promise.race([ended.then(() => true), over]);
  } finally {
    clearTimeout(timer);
  }
}

/** An id that no other worker has, and no other start of this one: `name:pid:random`. */
function identity(name = globalThis.process?.env.HOSTNAME || "node"): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (!/^[^\x00-\x1f\x7f]{1,128}$/.test(name))
    throw new ConfigError(`a worker's name is up to 128 printable characters, not ${name}`);
  const random = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${name}:${globalThis.process?.pid ?? 0}:${random}`;
}

function toConsole(level: "info" | "warning" | "error", message: string): void {
  if (level !== "info") console.error(`blaxel-jobs ${level}: ${message}`);
}
