/** Following many executions: one stream for all of them, or looks at them where there is no such stream. */

import { acrossJobs, backoff, call, checkedId, isPassing } from "./calls.js";
import { ContractError, type JobsError, NotFound, RequestTimeout, WaitTimeoutError } from "./errors.js";
import type { Schemas } from "./options.js";
import { EventReader } from "./sse.js";
import { type Connection, check, isMissing, parse, read } from "./transport.js";
import { FIRST_PAUSE, GRACE } from "./waiting.js";

/** How an execution stood when it was last heard of. */
export type Update = Schemas["ExecutionUpdate"];

const WATCH = "POST /watch";
const STATUSES = "POST /statuses data";
/** How many one request may name. More than that are looked at in turn. */
const MOST_IDS = 10_000;
/** Milliseconds without a sign of life after which a stream is dead; the contract promises one every 15 seconds. */
const QUIET = 45_000;
/** Milliseconds between two looks where there is no stream, once the pauses have grown. */
const LONGEST_PAUSE = 3000;
/** Milliseconds for which a watch without a deadline bears that the server cannot be reached. */
const PATIENCE = 60_000;

/** How each of them stands, in their order; `unknown` where there is none. `job`: only executions of this job. */
export async function statuses(
  connection: Connection,
  job: string | undefined,
  ids: string[],
  signal?: AbortSignal,
): Promise<Update[]> {
  const found = new Map<string, Update>();
  const unique = [...new Set(ids.map(checkedId))];
  const perform: Perform = async (op, parameters, extra) => (await call(connection, op, parameters, { ...extra, signal }))!;
  for await (const update of looks(connection, job, unique, perform))
    found.set(update.id, isForeign(update, job) ? unknown(update.id) : update);
  return ids.map((id) => found.get(id) ?? unknown(id));
}

/**
 * Each change of each execution, the first sight of it included, until all have ended. Throws NotFound for an id that there is not,
 * WaitTimeoutError after `maxWait` milliseconds. What may pass is survived; without a deadline for a minute at a time.
 */
export async function* follow(
  connection: Connection,
  job: string | undefined,
  ids: string[],
  maxWait: number,
  signal?: AbortSignal,
): AsyncGenerator<Update, void> {
  const left = new Map<string, string>(ids.map((id) => [checkedId(id), ""]));
  const total = left.size;
  const began = connection.now();
  const remaining = () => began + maxWait - connection.now();
  let heard = began;
  let lost: JobsError | undefined;
  let failures = 0;
  let pause = 0;
  let step = FIRST_PAUSE;
  /** Things may have changed without our seeing it. */
  let blind = true;

  const take = (update: Update): Update[] => {
    const { id } = update;
    const before = left.get(id);
    if (before === undefined) return [];
    if (isForeign(update, job) || (update.status === "unknown" && update.done)) {
      throw new NotFound(`there is no execution '${id}'${job ? ` of the job '${job}'` : ""}`, { status: 404, path: "executionId" });
    }
    const now = JSON.stringify(update);
    if (now === before) return [];
    failures = 0;
    if (update.done) left.delete(id);
    else left.set(id, now);
    return [update];
  };
  const failed = (error: unknown) => {
    if (!isPassing(error)) throw error;
    lost = error;
    blind = true;
    pause = backoff(connection, error, failures++);
  };
  const canListen = () => !connection.isPlatform && !connection.missing.has(WATCH) && left.size <= MOST_IDS;

  async function* listen(): AsyncGenerator<Update, void> {
    pause = 0;
    blind = true;
    const controller = new AbortController();
    const abort = () => controller.abort(signal?.reason);
    signal?.addEventListener("abort", abort);
    const stream = opened(connection, [...left.keys()], controller.signal);
    try {
      while (left.size) {
        const most = remaining();
        if (most <= 0) {
          blind = true; // whoever iterates took his time: something may have come meanwhile
          return;
        }
        const batch = await next(stream, Math.min(most, QUIET), controller);
        if (!batch) {
          blind = true;
          pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.min(failures++, 16));
          return;
        }
        heard = connection.now();
        lost = undefined;
        if (batch.length) blind = false;
        else failures = 0;
        for (const update of batch) yield* take(update);
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (isMissing(error) && !(error as NotFound).path) connection.missing.add(WATCH);
      else if (!isPassing(error) || remaining() > 0) failed(error);
    } finally {
      signal?.removeEventListener("abort", abort);
      controller.abort();
    }
  }

  async function* look(): AsyncGenerator<Update, void> {
    // At the deadline at the latest. Until something was seen, a slow first connection is not cut off.
    const perform: Perform = (op, parameters, extra) => {
      const most = Math.max(remaining(), 0);
      const grace = heard > began ? GRACE : Math.max(GRACE, 1000 - most);
      return connection.perform(op, parameters, { ...extra, signal, timeout: maxWait ? most + grace : undefined });
    };
    try {
      for await (const update of looks(connection, job, [...left.keys()], perform)) yield* take(update);
    } catch (error) {
      failed(error);
      return;
    }
    heard = connection.now();
    lost = undefined;
    blind = false;
    failures = 0;
    // Many that wait do not all ask at the same moment.
    pause = step * (0.75 + 0.25 * connection.random());
    step = Math.min(step * 1.5, LONGEST_PAUSE);
  }

  let looking = maxWait === 0;
  while (left.size) {
    signal?.throwIfAborted();
    if (looking) yield* look();
    if (left.size && remaining() <= 0) throw timeout([...left.keys()], total, maxWait - remaining(), lost);
    looking = !canListen();
    if (left.size && !looking) {
      yield* listen();
      looking = blind && (lost !== undefined || remaining() <= 0 || !canListen());
    }
    if (left.size && pause > 0) {
      if (lost && maxWait === Infinity && connection.now() - heard > PATIENCE) throw lost;
      await connection.sleep(Math.min(pause, Math.max(remaining(), 1)), signal);
      looking ||= blind && remaining() <= 0;
    }
  }
}

/** What comes on a stream, in batches; an empty one is a sign of life. Throws as `perform`, also in the middle. */
async function* opened(connection: Connection, ids: string[], signal: AbortSignal): AsyncGenerator<Update[], void> {
  const extra = { body: { ids }, signal, headers: { Accept: "text/event-stream, application/problem+json" } };
  const response = await connection.send(WATCH, {}, extra, connection.settings.requestTimeout, async (found) => found);
  connection.learn(response);
  if (response.status !== 200 || !response.body || !response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
    check(await read(response));
    throw new ContractError(`the answer of ${WATCH} is no stream of events`);
  }
  const reader = response.body.getReader();
  const events = new EventReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const found = events.feed(value);
      yield found.filter((event) => event.name === "update").map((event) => parse(event.data) as Update);
      if (found.some((event) => event.name === "end")) return;
    }
  } catch (error) {
    throw connection.failure(error);
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** What comes next on a stream; undefined when it has ended. Throws RequestTimeout when nothing comes; the stream is dead then. */
async function next<T>(stream: AsyncGenerator<T[]>, ms: number, controller: AbortController): Promise<T[] | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new RequestTimeout(`the stream brought nothing for ${Math.round(ms)} ms`));
      controller.abort();
    }, ms);
  });
  try {
    const { done, value } = await Promise.race([stream.next(), over]);
    return done ? undefined : value;
  } finally {
    clearTimeout(timer);
  }
}

type Perform = Connection["perform"];

/** How each of them stands: 10,000 in a request, or one after the other where there is no such route. */
async function* looks(
  connection: Connection,
  job: string | undefined,
  ids: string[],
  perform: Perform,
): AsyncGenerator<Update, void> {
  for (let start = 0; start < ids.length; start += MOST_IDS) {
    const chunk = ids.slice(start, start + MOST_IDS);
    const updates = await bulk(connection, chunk, perform);
    if (updates) yield* updates;
    else for (const id of chunk) yield lookAt(connection, job, id, perform);
  }
}

async function bulk(connection: Connection, ids: string[], perform: Perform): Promise<Update[] | undefined> {
  if (connection.isPlatform || connection.missing.has(STATUSES)) return undefined;
  try {
    return (await perform(STATUSES, {}, { body: { ids } })).data;
  } catch (error) {
    if (!isMissing(error)) throw error;
    connection.missing.add(STATUSES);
    return undefined;
  }
}

async function lookAt(connection: Connection, job: string | undefined, executionId: string, perform: Perform): Promise<Update> {
  if (job === undefined) throw acrossJobs();
  try {
    const wait = connection.isPlatform ? undefined : 0;
    const { metadata, status, done, stats } = await perform(
      "GET /jobs/{job}/executions/{executionId} metadata",
      { job, executionId },
      { wait },
    );
    return { id: metadata.id, job: metadata.job, status, done, ...(stats && { stats }) };
  } catch (error) {
    if (error instanceof NotFound) return unknown(executionId);
    throw error;
  }
}

function unknown(id: string): Update {
  return { id, status: "unknown", done: true };
}

function isForeign(update: Update, job: string | undefined): boolean {
  return job !== undefined && update.job !== undefined && update.job !== job;
}

function timeout(ids: string[], total: number, waited: number, lost: JobsError | undefined): WaitTimeoutError {
  const shown = ids.slice(0, 3).join(", ") + (ids.length > 3 ? ` and ${ids.length - 3} more` : "");
  const because = lost ? ` (the last look failed: ${lost.message})` : "";
  return new WaitTimeoutError(
    `${ids.length} of ${total} executions had not ended after ${Math.round(waited)} ms: ${shown}${because}. They go on; wait again or cancel them.`,
    { cause: lost },
  );
}
