/** `Execution`: one run of a job as it was last read, with the verbs that act on it. */

import type { Verb } from "./control.js";
import { ExecutionFailed, NotFinished, NotLoaded } from "./errors.js";
import type { CreateOptions, Schemas } from "./options.js";
import type { Page } from "./paging.js";
import type { Connection } from "./transport.js";
import type { PageOptions } from "./verbs.js";
import { get, type WaitOptions, waitFor } from "./waiting.js";
import type { Update } from "./watch.js";

type Model = Schemas["JobExecution"];
/** A line that a handler logged. */
export interface LogLine {
  at: string;
  level: string;
  message: string;
  fields: Record<string, unknown>;
  /** The task's id. */
  task?: string | undefined;
}

/**
 * One run of a job. Its fields are those of the last answer, by the contract's names; its verbs act, and bring the fields up to date.
 *
 * What a create or a list gave carries no tasks or results, and what a stream gave has status, done, waitingFor, progress and stats
 * only: reading more throws NotLoaded until `refresh()`.
 */
export class Execution<O = unknown> {
  readonly #connection: Connection;
  #seen: Model | Update;
  #model: Model | undefined;
  #whole: Model | undefined;

  /** `whole` says that the model came from a get or a verb, and has all that there is. */
  constructor(connection: Connection, seen: Model | Update | Schemas["CreateJobExecutionOutput"], whole = false) {
    this.#connection = connection;
    this.#seen = seen;
    if ("metadata" in seen) this.#model = seen;
    if (whole) this.#whole = this.#model;
  }

  get id(): string {
    return "metadata" in this.#seen ? this.#seen.metadata.id : this.#seen.id;
  }

  /** The job as a verb names it; undefined where it is not known yet. */
  get #of(): string | undefined {
    return this.job || undefined;
  }

  /** The job's name. */
  get job(): string {
    return ("metadata" in this.#seen ? this.#seen.metadata.job : this.#seen.job) ?? "";
  }

  /** pending, running, paused, completed, failed or cancelled; a word that this release does not know stays as it is. */
  get status(): string {
    return this.#seen.status;
  }

  /** True once it has ended, however it ended. */
  get done(): boolean {
    return this.#seen.done;
  }

  /** Why it does not run: start, time, event, dependencies, concurrency, retry or worker. */
  get waitingFor(): string | undefined {
    return this.#seen.waitingFor;
  }

  /** When that wait ends by itself. */
  get waitUntil(): string | undefined {
    return this.#seen.waitUntil;
  }

  /** How far it is. Of several tasks, how many have ended. */
  get progress(): Schemas["Progress"] | undefined {
    return this.#seen.progress;
  }

  /** How many of its tasks are in which state. */
  get stats(): Schemas["JobExecutionStats"] | undefined {
    return this.#seen.stats;
  }

  /** Names and times; `metadata.custom` are the user's own fields. Throws NotLoaded. */
  get metadata(): Schemas["JobExecutionMetadata"] {
    return this.#read(this.#model, "metadata").metadata;
  }

  /** What it was created with. Throws NotLoaded. */
  get spec(): Schemas["JobExecutionSpec"] {
    return this.#read(this.#model, "spec").spec;
  }

  /** Why it failed. Throws NotLoaded. */
  get error(): Schemas["Failure"] | undefined {
    return this.#current("error").error;
  }

  /** Every time that a task was taken back from a lost worker. Throws NotLoaded. */
  get recoveries(): Schemas["Recovery"][] {
    return this.#current("recoveries").recoveries ?? [];
  }

  /** The first 100 tasks. Throws NotLoaded. */
  get tasks(): Schemas["JobExecutionTask"][] {
    return this.#read(this.#whole, "tasks").tasks ?? [];
  }

  /** What the task returned; undefined until then. Throws NotLoaded. */
  get result(): O | undefined {
    return this.#read(this.#whole, "result").result as O | undefined;
  }

  /** What the tasks of an execution with several returned, in their order; undefined until it has ended. Throws NotLoaded. */
  get results(): unknown[] | undefined {
    return this.#read(this.#whole, "results").results;
  }

  /** Read it again. Throws NotFound. */
  async refresh(): Promise<this> {
    return this.#take(await get(this.#connection, this.#of, this.id));
  }

  /** Let it begin, when it was created with `autoStart: false`. Throws IllegalTransition when it has ended. */
  start(): Promise<this> {
    return this.#act("start");
  }

  /** Hold it back: nothing of it starts, and what runs stops at its next step. Throws IllegalTransition when it has ended. */
  pause(): Promise<this> {
    return this.#act("pause");
  }

  /** Let it go on after its last steps. Throws IllegalTransition when it has ended. */
  resume(): Promise<this> {
    return this.#act("resume");
  }

  /** End it for good: no task of it starts any more. Throws IllegalTransition when it has completed or failed. */
  cancel(): Promise<this> {
    return this.#act("cancel");
  }

  /** Try the tasks again that failed, in place: those that completed stay, and so do stored steps. Throws IllegalTransition unless
   * it has failed. */
  retry(): Promise<this> {
    return this.#act("retry");
  }

  /** A new execution of the same work, with the same options but for its id, its key, its times and what is given here. */
  async rerun(options: CreateOptions = {}): Promise<Execution<O>> {
    return new Execution<O>(this.#connection, await (await control()).rerun(this.#connection, this.#of, this.id, options));
  }

  /** Forget it. Throws IllegalTransition when it has not ended, unless forced: then it is cancelled first. */
  async delete({ force = false } = {}): Promise<void> {
    return (await control()).remove(this.#connection, this.#of, this.id, force);
  }

  /** Send it an event: the first wait for this name takes it, also one that comes later. The same `eventId` is taken once. The answer
   * is what became of it: `taken`, `kept` or `existing`. */
  async sendEvent(name: string, payload?: unknown, { eventId }: { eventId?: string } = {}): Promise<string> {
    return (await control()).sendEvent(this.#connection, this.#of, this.id, name, payload, eventId);
  }

  /** Wait until it is done; see `waitForExecution` of a job. */
  async wait(options: WaitOptions = {}): Promise<this> {
    await waitFor(this.#connection, this.#of, this.id, options, (model) => this.#take(model));
    return options.throwOnFailure ? succeeded(this) : this;
  }

  /** What its task returned, or of several tasks the list; waits for it. Throws ExecutionFailed when it failed or was cancelled,
   * NotFinished for `maxWait: 0`, else WaitTimeoutError. */
  async getResult(options: Omit<WaitOptions, "throwOnFailure"> = {}): Promise<O> {
    if (!this.done || !this.#whole) {
      if (options.maxWait === 0) this.#take(await get(this.#connection, this.#of, this.id, { wait: 0 }));
      else await this.wait(options);
    }
    const whole = this.#whole!;
    if (!whole.done) throw new NotFinished(`execution ${this.id} is ${this.status}: it has no result yet`);
    succeeded(this);
    if ("result" in whole) return whole.result as O;
    if (whole.results) return whole.results as O;
    return (await control()).resultsOf(this.#connection, this) as Promise<O>;
  }

  /** Its tasks with inputs, results and errors, in pages. */
  async listTasks(options?: PageOptions): Promise<Page<Schemas["JobExecutionTask"]>> {
    return (await control()).listTasks(this.#connection, this, options);
  }

  /** What happened to it, the oldest first, in pages. */
  async listEvents(options?: PageOptions): Promise<Page<Schemas["JobExecutionEvent"]>> {
    return (await control()).listEvents(this.#connection, this, options);
  }

  /** The steps that it has stored, without their values, in pages. */
  async listSteps(options?: PageOptions): Promise<Page<Schemas["ExecutionStep"]>> {
    return (await control()).listSteps(this.#connection, this, options);
  }

  /** What its handlers have logged until now, the oldest first. */
  async logs(): Promise<LogLine[]> {
    return (await control()).logsOf(this);
  }

  /** Each change of it from now on, the first sight of it included; ends when it is done. The fields that an update has are brought
   * up to date. */
  async *watch({ signal }: { signal?: AbortSignal } = {}): AsyncGenerator<Update, void> {
    const { follow } = await control();
    for await (const update of follow(this.#connection, this.#of, [this.id], Infinity, signal)) {
      if (update.status !== this.status) this.#whole = undefined;
      this.#seen = update;
      yield update;
    }
  }

  /** The last answer, by the contract's names. */
  toJSON(): Record<string, unknown> {
    return { id: this.id, ...this.#model, ...this.#seen };
  }

  #take(model: Model): this {
    this.#seen = this.#model = this.#whole = model;
    return this;
  }

  async #act(verb: Verb): Promise<this> {
    return this.#take(await (await control()).act(this.#connection, this.#of, this.id, verb));
  }

  /** For what changes with the status: not from before an update that brought another one. */
  #current(field: string): Model {
    return this.#read(this.#model?.status === this.status ? this.#model : undefined, field);
  }

  #read(model: Model | undefined, field: string): Model {
    if (model) return model;
    throw new NotLoaded(`${field} of execution ${this.id} was not read: call refresh() first`);
  }
}

/** Loaded when it is first needed: who only creates and waits does without it. */
export function control(): Promise<typeof import("./control.js")> {
  return import("./control.js");
}

/** The execution itself. Throws ExecutionFailed when it failed or was cancelled. */
export function succeeded<E extends Execution<any>>(execution: E): E {
  if (execution.status !== "failed" && execution.status !== "cancelled") return execution;
  const { error } = execution;
  const because = error ? `: ${error.type}: ${error.message} (${error.kind})` : "";
  const failed = new ExecutionFailed(`execution ${execution.id} ${execution.status}${because}`);
  failed.execution = execution;
  throw failed;
}
