/**
 * The durable verbs of a handler: steps, sleeps and waits for events. What is stored is replayed, all else is done and then stored.
 *
 * A suspension ends all that a handler does at once. So it waits for the steps that run beside it, and of several sleeps and waits for
 * events it is the one that ends first which suspends, when all of them are stored: whichever is over then wakes the task.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import { NotSerializable } from "../errors.js";
import { DuplicateStep, PermanentError, RetryAfter, StepTimeout, Suspended } from "../handling.js";
import type { Schemas } from "../options.js";
import { checkPlain } from "../plain.js";
import type { StepOptions } from "../step.js";
import type { Hold } from "./hold.js";
import type { Say } from "./link.js";

/** Of one result or step value. */
const MOST_BYTES = 1024 * 1024;
/** Milliseconds more than a sleep has left however it is reckoned. */
const MARGIN = 1000;
/** The longest time that the contract carries: a hundred years. */
const FOREVER = 3_155_760_000_000;

/** How many steps are running around the code that asks: each waits for it. */
const around = new AsyncLocalStorage<number>();

/** What one attempt of a task has stored, and goes on to store. */
export class Steps {
  readonly #hold: Hold;
  readonly #say: Say;
  readonly #stored: Map<string, Schemas["StoredStep"]>;
  readonly #used = new Set<string>();
  #running = 0;
  /** Sleeps and waits under way, and when they end: Infinity for a wait without a limit, -Infinity for what is not stored yet. */
  readonly #rests = new Map<string, number>();

  constructor(hold: Hold, say: Say) {
    this.#hold = hold;
    this.#say = say;
    this.#stored = new Map(hold.lease.steps.map((step) => [step.name, step]));
  }

  async run<T>(name: string, fn: (signal: AbortSignal) => T | Promise<T>, options: StepOptions = {}): Promise<T> {
    checkOptions(options);
    const stored = this.#take(name, ["value"]);
    if (stored) return (stored.value ?? null) as T;
    this.#running += 1;
    try {
      const value = keep(await this.#tries(name, fn, options), `the value of step '${name}'`);
      await this.#hold.tell({ type: "stepped", name, value });
      return value;
    } finally {
      this.#running -= 1;
      this.#hold.wake();
    }
  }

  async sleep(name: string, ms: number): Promise<void> {
    checkMs("a sleep", ms);
    const stored = this.#take(name, ["sleep"]);
    if (stored && !(stored.remainingMs! > 0)) return;
    await this.#resting(name, -Infinity, async () => {
      let suspends = this.#rests.size === 1 && this.#isNext(name);
      do {
        await this.#sleepOn(name, ms, suspends);
        suspends = false;
        for (let left = this.#left(name); !suspends && left > 0; left = this.#left(name)) {
          suspends = await this.#until(() => this.#left(name) > this.#hold.inPlace && this.#isNext(name), left);
        }
      } while (suspends);
    });
  }

  async waitForEvent(name: string, timeout?: number): Promise<any> {
    if (timeout !== undefined) checkMs("timeout", timeout);
    const stored = this.#take(name, ["event", "timeout", "wait"]);
    if (stored && stored.kind !== "wait") return eventOf(name, stored);
    const limit = timeout === undefined ? {} : { timeoutMs: whole(timeout) };
    return this.#resting(name, -Infinity, async () => {
      let suspends = this.#rests.size === 1 && this.#isNext(name);
      for (;;) {
        const answer = await this.#hold.tell({ type: "awaited", name, ...limit, ...(!suspends && { suspends }) });
        if (answer.kind !== undefined) return eventOf(name, answer);
        this.#rests.set(name, timeout === undefined ? Infinity : performance.now() + (answer.remainingMs ?? 0));
        this.#hold.wake();
        suspends = false;
        while (!suspends && this.#left(name) > 0) suspends = await this.#until(() => this.#isNext(name), this.#left(name));
      }
    });
  }

  async #tries<T>(name: string, fn: (signal: AbortSignal) => T | Promise<T>, options: StepOptions): Promise<T> {
    for (let failed = 1; ; failed++) {
      try {
        return await this.#call(name, fn, options.timeout);
      } catch (error) {
        const final =
          error instanceof Suspended || [PermanentError, NotSerializable, DuplicateStep].some((cls) => error instanceof cls);
        if (failed > (options.maxRetries ?? 0) || final || this.#hold.gone) throw error;
        // Without a delay of their own, as the contract's policy: 1 s, twice as long each time, at most 5 minutes, with full jitter.
        const grown = Math.random() * Math.min(300_000, 1000 * 2 ** Math.min(failed - 1, 30));
        const delay = error instanceof RetryAfter ? error.ms : (options.retryDelay ?? grown);
        this.#say("info", `step '${name}' of execution ${this.#hold.lease.executionId} failed and is tried again in ${delay} ms`);
        const due = performance.now() + delay;
        this.#hold.check();
        for (let left = delay; left > 0; left = due - performance.now()) {
          await this.#hold.pause(left);
          this.#hold.check();
        }
      }
    }
  }

  /** One call of a step's function. It is left to itself at its timeout, and when the task is to end. */
  async #call<T>(name: string, fn: (signal: AbortSignal) => T | Promise<T>, timeout: number | undefined): Promise<T> {
    const task = this.#hold.controller.signal;
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let abort = () => {};
    const cut = new Promise<never>((_, reject) => {
      abort = () => {
        controller.abort(task.reason);
        reject(task.reason);
      };
      task.addEventListener("abort", abort);
      if (timeout === undefined) return;
      timer = setTimeout(() => {
        const late = new StepTimeout(`step '${name}' took longer than ${timeout} ms`);
        controller.abort(late);
        reject(late);
      }, timeout);
    });
    cut.catch(() => {});
    try {
      const depth = (around.getStore() ?? 0) + 1;
      return await Promise.race([around.run(depth, async () => fn(controller.signal)), cut]);
    } finally {
      clearTimeout(timer);
      task.removeEventListener("abort", abort);
    }
  }

  /** Have a sleep stored. */
  async #sleepOn(name: string, ms: number, suspends: boolean): Promise<void> {
    const inPlaceMs = whole(suspends ? this.#hold.inPlace : ms + MARGIN);
    const answer = await this.#hold.tell({ type: "slept", name, durationMs: whole(ms), inPlaceMs });
    this.#rests.set(name, performance.now() + (answer.remainingMs ?? 0));
    this.#hold.wake();
  }

  #left(name: string): number {
    return this.#rests.get(name)! - performance.now();
  }

  /** It may suspend the task: no step runs but around it, and nothing that it would cut off ends before it does. */
  #isNext(name: string): boolean {
    return this.#running <= (around.getStore() ?? 0) && this.#rests.get(name) === Math.min(...this.#rests.values());
  }

  /** Wait until it is ready, which others may make it, but only for so long. Is it? */
  async #until(ready: () => boolean, ms: number): Promise<boolean> {
    if (!ready()) {
      await this.#hold.pause(ms);
      this.#hold.check();
    }
    if (ready()) await this.#turn(); // unless the handler goes on, now that another has ended
    return ready();
  }

  /** Let those begin that were started beside it, and the handler go on with what has just ended. */
  async #turn(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 0));
    this.#hold.check();
  }

  async #resting<T>(name: string, due: number, rest: () => Promise<T>): Promise<T> {
    this.#rests.set(name, due);
    try {
      await this.#turn();
      return await rest();
    } finally {
      this.#rests.delete(name);
      this.#hold.wake();
    }
  }

  #take(name: string, kinds: string[]): Schemas["StoredStep"] | undefined {
    this.#hold.check();
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
    if (typeof name !== "string" || !/^[^\x00-\x1f\x7f]{1,255}$/.test(name)) {
      throw new TypeError(
        `a step's name is text of 1 to 255 characters without control characters, not ${String(name).slice(0, 300)}`,
      );
    }
    if (this.#used.has(name)) {
      throw new DuplicateStep(`'${name}' was used before in this handler: each step, sleep and event has a name of its own`);
    }
    this.#used.add(name);
    const stored = this.#stored.get(name);
    if (stored && !kinds.includes(stored.kind)) {
      throw new DuplicateStep(`'${name}' was stored by something else (${stored.kind}) before the handler changed: name it anew`);
    }
    return stored;
  }
}

/** The value as it comes back from the store, null for undefined. Throws NotSerializable, naming the place, for what cannot be stored,
 * also above 1 MB. */
export function keep<T>(value: T, what: string): T {
  try {
    if (value !== undefined) checkPlain(value, "value");
  } catch (error) {
    if (!(error instanceof NotSerializable)) throw new NotSerializable(`${what} is nested too deeply, or contains itself`);
    error.message = `${what}: ${error.message}`;
    throw error;
  }
  const text = JSON.stringify(value ?? null);
  if (text.length * 3 > MOST_BYTES && new TextEncoder().encode(text).length > MOST_BYTES) {
    throw new NotSerializable(`${what} has more than 1 MB: keep it elsewhere, and return where it is`);
  }
  return text.includes("{") || text.includes("[") ? JSON.parse(text) : ((value ?? null) as T);
}

function eventOf(name: string, { kind, value }: { kind?: string; value?: unknown }): unknown {
  if (kind === "timeout") throw new StepTimeout(`the event '${name}' did not come in time`);
  return value ?? null;
}

/** Never less than asked for. */
function whole(ms: number): number {
  return Math.min(Math.ceil(ms), FOREVER);
}

function checkMs(what: string, value: unknown): void {
  if (!(typeof value === "number" && value >= 0 && value < Infinity)) {
    throw new TypeError(`${what} is a finite number of milliseconds, 0 or more, not ${value}`);
  }
}

function checkOptions({ maxRetries, retryDelay, timeout }: StepOptions): void {
  if (maxRetries !== undefined && !(Number.isInteger(maxRetries) && maxRetries >= 0)) {
    throw new TypeError(`maxRetries is a whole number, 0 or more, not ${maxRetries}`);
  }
  if (retryDelay !== undefined) checkMs("retryDelay", retryDelay);
  if (timeout !== undefined) checkMs("timeout", timeout);
  if (timeout === 0) throw new TypeError("timeout is more than 0 ms");
}
