/** `blJob`, `createJobs` and what they give: typed one-liners over the verbs. */

import { checkedId } from "./calls.js";
import type { Batch } from "./control.js";
import type { JobDef } from "./define.js";
import { control, Execution } from "./execution.js";
import { checkJobName } from "./names.js";
import type { CreateJobExecutionRequest, CreateOptions, Schemas } from "./options.js";
import type { Page } from "./paging.js";
import { invalid } from "./refusals.js";
import { resolve, revisionOf, type Settings } from "./settings.js";
import { type Clock, Connection } from "./transport.js";
import { create, type ListOptions, status } from "./verbs.js";
import type { WaitOptions } from "./waiting.js";
import type { Update } from "./watch.js";

/** Asked for at each call, so that making a job does no I/O and reads nothing. */
export type Reach = () => Connection;

/** What is done to executions by their ids: of a Job to its own, of Jobs to all. Every verb throws RequestError when it is refused,
 * ConnectionFailed or RequestTimeout when no answer came, ContractError when the answer is not the contract. */
export abstract class Executions<O = unknown> {
  readonly #reach: Reach;
  /** The job whose executions are meant; undefined for those of any. */
  readonly #only: string | undefined;

  constructor(reach: Reach, only?: string) {
    this.#reach = reach;
    this.#only = only;
  }

  /** The execution with its first 100 tasks, and its results where they fit. Throws NotFound. */
  async getExecution(id: string): Promise<Execution<O>> {
    return this.#at(id).refresh();
  }

  /** Just the status: pending, running, paused, completed, failed or cancelled. Throws NotFound. */
  async getExecutionStatus(id: string): Promise<string> {
    if (this.#only !== undefined) return status(this.#reach(), this.#only, id);
    return (await control()).statusOf(this.#reach(), id);
  }

  /** How each of them stands, in their order. An id that there is not has the status `unknown`. */
  async getExecutionStatuses(ids: string[]): Promise<Update[]> {
    return (await control()).statuses(this.#reach(), this.#only, ids);
  }

  /** What its task returned, or of several tasks the list; waits for it. Throws ExecutionFailed, NotFinished for `maxWait: 0`. */
  async getExecutionResult(id: string, { maxWait = 0, ...options }: WaitOptions = {}): Promise<O> {
    return this.#at(id).getResult({ ...options, maxWait });
  }

  /** One page of executions, the newest first: 100 unless `limit` says otherwise. */
  async listExecutions(options: ListOptions = {}): Promise<Page<Execution<O>>> {
    return (await control()).list<O>(this.#reach(), this.#only, options);
  }

  /**
   * Wait until the execution is done, and give it back, also when it failed. After `maxWait` ms WaitTimeoutError is thrown; the
   * execution goes on. Where the server cannot hold the answer until the end, it is asked again and again: fast at first, then every
   * `interval` ms. A server that is busy or cannot be reached is waited for too.
   */
  async waitForExecution(id: string, options: WaitOptions = {}): Promise<Execution<O>> {
    return this.#at(id).wait(options);
  }

  /** Wait until all of them are done, on one connection; they come in the order of `ids`, and have id, job, status, done and stats. */
  async waitForExecutions(ids: string[], options: WaitOptions = {}): Promise<Execution<O>[]> {
    return (await control()).waitForAll<O>(this.#reach(), this.#only, ids, options);
  }

  /** Each of them once it is done, in the order in which they end. Throws WaitTimeoutError, and NotFound for an id that there is
   * not. */
  async *asCompleted(ids: string[], options: WaitOptions = {}): AsyncGenerator<Execution<O>, void> {
    yield* (await control()).asCompleted<O>(this.#reach(), this.#only, ids, options);
  }

  /** Each change of the execution, the first sight of it included; ends when it is done. */
  async *watch(id: string, options?: { signal?: AbortSignal }): AsyncGenerator<Update, void> {
    yield* this.#at(id).watch(options);
  }

  /** End it for good. Throws IllegalTransition when it has completed or failed. */
  async cancelExecution(id: string): Promise<void> {
    await this.#at(id).cancel();
  }

  /** Let it begin, when it was created with `autoStart: false`. */
  async startExecution(id: string): Promise<Execution<O>> {
    return this.#at(id).start();
  }

  /** Hold it back; see `Execution.pause`. */
  async pauseExecution(id: string): Promise<Execution<O>> {
    return this.#at(id).pause();
  }

  /** Let a paused one go on. */
  async resumeExecution(id: string): Promise<Execution<O>> {
    return this.#at(id).resume();
  }

  /** Try its failed tasks again, in place. Throws IllegalTransition unless it has failed. */
  async retryExecution(id: string): Promise<Execution<O>> {
    return this.#at(id).retry();
  }

  /** A new execution of the same work; see `Execution.rerun`. */
  async rerunExecution(id: string, options?: CreateOptions): Promise<Execution<O>> {
    return this.#at(id).rerun(options);
  }

  /** Forget it; see `Execution.delete`. */
  async deleteExecution(id: string, options?: { force?: boolean }): Promise<void> {
    return this.#at(id).delete(options);
  }

  /** Send the execution an event; see `Execution.sendEvent`. */
  async sendEvent(id: string, name: string, payload?: unknown, options?: { eventId?: string }): Promise<string> {
    return this.#at(id).sendEvent(name, payload, options);
  }

  /** The execution with this id, of which nothing is known yet. */
  #at(id: string): Execution<O> {
    return new Execution<O>(this.#reach(), { id: checkedId(id), job: this.#only ?? "", status: "", done: false });
  }
}

/** One job by its name: creates executions, finds them, waits for them. Making one does no I/O. Made with a definition it checks
 * payloads before they are sent, and has its types. */
export class Job<I = unknown, O = unknown> extends Executions<O> {
  readonly name: string;
  readonly #reach: Reach;
  readonly #definition: JobDef<any, any, any> | undefined;

  /** Throws InvalidRequest for what is no job name. */
  constructor(name: string, reach: Reach, definition?: JobDef<any, any, any>) {
    super(reach, checkJobName(name));
    this.name = name;
    this.#reach = reach;
    this.#definition = definition;
  }

  /** Create an execution of `tasks`, one for each object, and return its id. `memory` is in MB. */
  run(
    tasks: Record<string, unknown>[],
    options: Pick<CreateOptions, "env" | "memory" | "executionId" | "allowQueue"> = {},
  ): Promise<string> {
    return this.createExecution({ tasks } as CreateJobExecutionRequest, options);
  }

  /** Create an execution and return its id, once it is committed. Throws InvalidRequest naming the field, IdempotencyConflict, and
   * KeyInUse for `onConflict: "reject"`. */
  async createExecution(request: NewExecution, options?: CreateOptions): Promise<string> {
    const answer = await create(this.#reach(), this.name, request as CreateJobExecutionRequest, options);
    return answer.metadata.id;
  }

  /** Create an execution of one task that is given `payload`. Throws InvalidRequest, naming the place, for a payload that the job's
   * definition does not take. */
  async trigger(payload: I, options?: CreateOptions): Promise<Execution<O>> {
    await this.#definition?.checkInput(payload);
    const model = await create(this.#reach(), this.name, { input: payload ?? null }, options);
    return new Execution<O>(this.#reach(), model);
  }

  /** `trigger`, and wait for what the handler returns. Throws ExecutionFailed when it fails or is cancelled, WaitTimeoutError. */
  async triggerAndWait(
    payload: I,
    options: CreateOptions & Omit<WaitOptions, "throwOnFailure"> = {},
  ): Promise<{ id: string; output: O; execution: Execution<O> }> {
    const { maxWait, interval, signal, ...rest } = options;
    const execution = await this.trigger(payload, rest);
    return { id: execution.id, output: await execution.getResult({ maxWait, interval, signal }), execution };
  }

  /** Create an execution for each payload, all of them or none. At most 10,000 at once. The options are those of each;
   * `idempotencyKey` is that of the batch. Throws InvalidRequest naming the item. */
  async batchTrigger(payloads: I[], options: Omit<CreateOptions, "executionId"> = {}): Promise<Batch<O>> {
    const check = (payload: I, path: string) => this.#definition?.checkInput(payload, path);
    return (await control()).batchTrigger<I, O>(this.#reach(), this.name, payloads, options, check);
  }

  /** Counts, waiting and running times in milliseconds, and what is left to do. */
  async stats(): Promise<Schemas["JobStats"]> {
    return (await (await control()).stats(this.#reach(), this.name))[this.name]!;
  }
}

/** A request with the contract's names; tasks may be any objects. */
export type NewExecution = Omit<CreateJobExecutionRequest, "tasks"> & { tasks?: object[]; input?: unknown };

/** An execution of a batch: its job, its `payload` or `tasks`, and its options. */
export type BatchOf = CreateOptions & { job: string; payload?: unknown; tasks?: object[] };

/** All jobs at one place. */
export class Jobs extends Executions {
  readonly #reach: Reach;

  constructor(reach: Reach) {
    super(reach);
    this.#reach = reach;
  }

  /** The job of that name, or of a definition, whose types it has then. No I/O. */
  job(name: string): Job;
  job<I, O>(definition: JobDef<I, any, O>): Job<I, O>;
  job(job: string | JobDef<any, any, any>): Job<any, any> {
    return typeof job === "string" ? new Job(job, this.#reach) : new Job(job.name, this.#reach, job);
  }

  /** Typed handles for definitions: `const { myJob } = jobs.register({ myJob: definition })`. No I/O: a worker serves them. */
  register<D extends Record<string, JobDef<any, any, any>>>(
    definitions: D,
  ): { [K in keyof D]: D[K] extends JobDef<infer I, any, infer O> ? Job<I, O> : never } {
    const names = new Map<string, unknown>();
    const handles = Object.entries(definitions).map(([key, definition]) => {
      if ((names.get(definition.name) ?? definition) !== definition) {
        throw invalid(`two definitions have the name '${definition.name}'`, key);
      }
      names.set(definition.name, definition);
      return [key, this.job(definition)];
    });
    return Object.fromEntries(handles);
  }

  /** Create executions of any jobs, all of them or none. At most 10,000 tasks at once. Throws InvalidRequest naming the item. */
  async createBatch(items: BatchOf[], { idempotencyKey }: { idempotencyKey?: string } = {}): Promise<Batch> {
    return (await control()).createBatch(this.#reach(), items, idempotencyKey);
  }

  /** How the executions of a batch stand, together. Throws NotFound. */
  async getBatch(id: string): Promise<Schemas["Batch"]> {
    return (await control()).getBatch(this.#reach(), id);
  }

  /** Try the failed tasks of an execution again, in place. Throws IllegalTransition unless it has failed. */
  retry(id: string): Promise<Execution> {
    return this.retryExecution(id);
  }

  /** Counts, waiting and running times in milliseconds, and what is left to do, by job. */
  async stats(): Promise<Record<string, Schemas["JobStats"]>> {
    return (await control()).stats(this.#reach());
  }
}

/** All jobs of one server. What is not given comes from `configure()` and the environment; nothing is read before the first call. */
export function createJobs(settings: Settings = {}, clock?: Clock): Jobs {
  let connection: Connection | undefined;
  return new Jobs(() => {
    connection ??= new Connection(resolve(settings), clock);
    return connection;
  });
}

let shared: Connection | undefined;
let sharedBy: string | undefined;

/** The connection of the whole process, as `configure()` and the environment say. */
function reachShared(): Connection {
  const by = revisionOf();
  if (!shared || by !== sharedBy) {
    shared = new Connection(resolve({}));
    sharedBy = by;
  }
  return shared;
}

/** A job by its name, where `configure()` and the environment say. No I/O. */
export function blJob(name: string): Job<any, any> {
  return new Job(name, reachShared);
}
