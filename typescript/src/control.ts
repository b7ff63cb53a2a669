/** What few callers need, loaded when it is first called for: the verbs that act on executions, batches, and what is listed of one. */

import { acrossJobs, call, checkedId } from "./calls.js";
import { MethodNotAllowed, NotFound, NotLoaded } from "./errors.js";
import { Execution, type LogLine, succeeded } from "./execution.js";
import type { BatchOf } from "./jobs.js";
import { type CreateOptions, chosen, type Schemas } from "./options.js";
import { OFFSET, Page } from "./paging.js";
import { type Answer, type Connection, type Extra, isMissing, type Op, type Parameters } from "./transport.js";
import type { ListOptions, PageOptions } from "./verbs.js";
import { checkWait, get, type WaitOptions } from "./waiting.js";
import { follow, statuses } from "./watch.js";

export { follow, statuses };

export type Verb = "start" | "pause" | "resume" | "cancel" | "retry";

/** As `call`, for what the Blaxel platform cannot do. Throws MethodNotAllowed there, saying `what`. */
async function ours<O extends Op>(
  connection: Connection,
  what: string,
  op: O,
  parameters: Parameters<O>,
  extra?: Extra<O>,
  done?: (error: unknown) => boolean,
): Promise<Answer<O> | undefined> {
  if (!connection.isPlatform) {
    try {
      return await call(connection, op, parameters, extra, done);
    } catch (error) {
      if (!isMissing(error) || !connection.isPlatform) throw error;
    }
  }
  throw new MethodNotAllowed(`the Blaxel platform cannot ${what}: that takes a server of blaxel-jobs`, { status: 405 });
}

/** Start, pause, resume, cancel or retry an execution, of this job or of any. */
export async function act(
  connection: Connection,
  job: string | undefined,
  id: string,
  verb: Verb,
): Promise<Schemas["JobExecution"]> {
  const executionId = checkedId(id);
  if (verb === "cancel" && job) {
    return (await call(connection, "DELETE /jobs/{job}/executions/{executionId} metadata", { job, executionId }))!;
  }
  // The others are answered alike the second time.
  const done = verb === "retry" ? (error: any) => error.name === "IllegalTransition" : undefined;
  const op = `POST /executions/{executionId}/${verb} metadata` as const;
  return (await ours(connection, `${verb} an execution`, op, of(job, executionId), {}, done)) ?? get(connection, job, id);
}

/** A new execution of the same work; one, however often it is sent. */
export async function rerun(
  connection: Connection,
  job: string | undefined,
  id: string,
  options: CreateOptions,
): Promise<Schemas["CreateJobExecutionOutput"]> {
  const body = chosen(options);
  const idempotencyKey = body.idempotencyKey ? undefined : connection.newKey();
  const op = "POST /executions/{executionId}/rerun executionId";
  return (await ours(connection, "rerun an execution", op, of(job, checkedId(id)), { body, idempotencyKey }))!;
}

export async function remove(connection: Connection, job: string | undefined, id: string, force: boolean): Promise<void> {
  const body = force ? { force } : {};
  await ours(
    connection,
    "delete an execution",
    "POST /executions/{executionId}/delete",
    of(job, checkedId(id)),
    { body },
    isMissing,
  );
}

/** What became of the event: taken, kept or existing. */
export async function sendEvent(
  connection: Connection,
  job: string | undefined,
  id: string,
  name: string,
  payload: unknown,
  eventId = connection.newKey(),
): Promise<string> {
  const body = { name, payload: payload ?? null, id: eventId };
  const op = "POST /executions/{executionId}/events disposition";
  return (await ours(connection, "send an event to an execution", op, of(job, checkedId(id)), { body }))!.disposition;
}

/** Executions that were created in one call: an Array of them, in the order of its items, with the batch's id. */
export class Batch<O = unknown> extends Array<Execution<O>> {
  id = "";

  /** `map`, `filter` and their like give plain Arrays. */
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }
}

/** Create an execution for each payload, all or none. `check` throws for one that the job does not take. */
export async function batchTrigger<I, O>(
  connection: Connection,
  job: string,
  payloads: I[],
  { idempotencyKey, ...options }: CreateOptions,
  check: (payload: I, path: string) => Promise<unknown> | undefined,
): Promise<Batch<O>> {
  for (const [index, payload] of payloads.entries()) await check(payload, `items[${index}].input`);
  const items = payloads.map((payload) => ({ job, payload, ...options }));
  return createBatch<O>(connection, items, idempotencyKey);
}

/** Create many executions, all or none; once, however often it is sent. */
export async function createBatch<O>(connection: Connection, items: BatchOf[], key = connection.newKey()): Promise<Batch<O>> {
  const wire = items.map(({ job, payload, tasks, ...options }) => {
    const work = tasks ? { tasks } : { input: payload ?? null };
    return { job, ...work, ...chosen(options) } as Schemas["BatchItem"];
  });
  const extra = { body: { items: wire }, idempotencyKey: key };
  const model = (await ours(connection, "create a batch", "POST /batches executionIds", {}, extra))!;
  const fresh = model.stats.pending === model.stats.total;
  const seen = fresh ? [] : await statuses(connection, undefined, model.executionIds);
  const batch = new Batch<O>();
  batch.id = model.metadata.id;
  for (const [index, id] of model.executionIds.entries()) {
    batch.push(new Execution(connection, seen[index] ?? { id, job: items[index]!.job, status: "pending", done: false }));
  }
  return batch;
}

/** Each of them once it is done, in the order in which they end. */
export async function* asCompleted<O>(
  connection: Connection,
  job: string | undefined,
  ids: string[],
  { maxWait = 360_000, signal }: WaitOptions,
): AsyncGenerator<Execution<O>, void> {
  checkWait({ maxWait });
  for await (const update of follow(connection, job, ids, maxWait, signal)) {
    if (update.done) yield new Execution<O>(connection, update);
  }
}

/** All of them once they are done, in the order of `ids`. */
export async function waitForAll<O>(connection: Connection, job: string | undefined, ids: string[], options: WaitOptions) {
  const ended = new Map<string, Execution<O>>();
  for await (const execution of asCompleted<O>(connection, job, ids, options)) {
    ended.set(execution.id, execution);
    if (options.throwOnFailure && /failed|cancelled/.test(execution.status)) succeeded(await execution.refresh());
  }
  return ids.map((id) => ended.get(id)!);
}

/** One page of executions, of this job or of all, the newest first. */
export async function list<O>(connection: Connection, job: string | undefined, options: ListOptions): Promise<Page<Execution<O>>> {
  const { data, meta } = await listed(connection, job, options);
  const rows = data.map((model) => new Execution<O>(connection, model));
  return Page.of_(new Page<Execution<O>>(), rows, meta, (cursor) =>
    list(connection, job, { ...options, offset: undefined, cursor }),
  );
}

async function listed(
  connection: Connection,
  job: string | undefined,
  options: ListOptions,
): Promise<List<Schemas["JobExecution"]>> {
  const { status, batch, ...page } = options;
  if (page.cursor?.startsWith(OFFSET) && connection.isPlatform) {
    page.offset = Number(page.cursor.slice(OFFSET.length));
    page.cursor = undefined;
  }
  const query = page as Query & { offset: number };
  if (job !== undefined && status === undefined && batch === undefined) {
    return (await call(connection, "GET /jobs/{job}/executions data", { job, ...query }))!;
  }
  if (job === undefined && connection.isPlatform) throw acrossJobs();
  const filters = { job, status: status?.toString(), batch } as { job: string; status: string; batch: string };
  return (await ours(connection, "list executions of all jobs, or by status or batch", "GET /executions data", {
    ...filters,
    ...query,
  }))!;
}

/** Just the status of an execution of any job. Throws NotFound. */
export async function statusOf(connection: Connection, id: string): Promise<string> {
  const [update] = await statuses(connection, undefined, [id]);
  if (update!.status === "unknown") throw new NotFound(`there is no execution '${id}'`, { status: 404, path: "executionId" });
  return update!.status;
}

/** How the executions of a batch stand, together. */
export async function getBatch(connection: Connection, id: string): Promise<Schemas["Batch"]> {
  return (await ours(connection, "find a batch", "GET /batches/{batchId} executionIds", { batchId: checkedId(id) }))!;
}

export async function stats(connection: Connection, job?: string): Promise<Record<string, Schemas["JobStats"]>> {
  return (await ours(connection, "count what its jobs did", "GET /stats jobs", { job: job as string }))!.jobs;
}

type List<T> = { data: T[]; meta: Schemas["PageMeta"] };
type Query = { limit: number; cursor: string };

async function pages<T>(options: PageOptions, read: (query: Query) => Promise<List<T> | undefined>): Promise<Page<T>> {
  const { data, meta } = (await read(options as Query))!;
  return Page.of_(new Page<T>(), data, meta, (cursor) => pages({ ...options, cursor }, read));
}

export function listTasks(connection: Connection, { job, id }: Execution<any>, options: PageOptions = {}) {
  const op = "GET /jobs/{job}/executions/{executionId}/tasks data";
  return pages(options, (query) => call(connection, op, { job, executionId: id, ...query }));
}

export function listEvents(connection: Connection, { job, id }: Execution<any>, options: PageOptions = {}) {
  const op = "GET /jobs/{job}/executions/{executionId}/events data";
  return pages(options, (query) => ours(connection, "list events", op, { job, executionId: id, ...query }));
}

export function listSteps(connection: Connection, { job, id }: Execution<any>, options: PageOptions = {}) {
  const op = "GET /executions/{executionId}/steps data";
  return pages(options, (query) => ours(connection, "list steps", op, { job, executionId: id, ...query }));
}

export async function logsOf(execution: Execution<any>): Promise<LogLine[]> {
  const lines: LogLine[] = [];
  for await (const { type, at, task, data } of await execution.listEvents({ limit: 1000 })) {
    const { level = "info", message = "", fields = {} } = (data ?? {}) as Partial<LogLine>;
    if (type === "log") lines.push({ at, task, level, message, fields });
  }
  return lines;
}

/** What its tasks returned, where that does not fit into one answer. */
export async function resultsOf(connection: Connection, execution: Execution<any>): Promise<unknown> {
  if (connection.isPlatform) throw new NotLoaded("the Blaxel platform keeps no results");
  const results: unknown[] = [];
  for await (const task of await execution.listTasks({ limit: 1000 })) results.push(task.result);
  return results.length === 1 ? results[0] : results;
}

function of(job: string | undefined, executionId: string): { job: string; executionId: string } {
  return { job: job as string, executionId };
}
