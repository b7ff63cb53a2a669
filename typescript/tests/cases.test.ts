/** The shared table of cases, with this SDK. tests/conformance/test_sdk_cases.py is the same with the Python one. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import * as blaxel from "blaxel-jobs";
import { parse } from "yaml";
import { Jobs } from "../dist/jobs.js";
import { type Clock, Connection } from "../dist/transport.js";

type Json = any;
const CASES: Json[] = parse(readFileSync("../tests/conformance/sdk_cases.yaml", "utf8"));

/** Time that only sleeping and slow replies move. */
class FakeClock implements Clock {
  ms = 0;
  #keys = 0;
  now = () => this.ms;
  random = () => 1;
  newKey = () => `key-${++this.#keys}`;
  async sleep(ms: number): Promise<void> {
    this.ms += ms;
  }
}

interface Seen {
  call: string;
  headers: IncomingHttpHeaders;
  body: Json;
  at: number;
}

/** Gives the replies of a case in their order, and keeps what it was asked. */
class Script {
  readonly seen: Seen[] = [];
  readonly replies: Json[];
  readonly #server: Server;

  constructor(replies: Json[], clock: FakeClock) {
    this.replies = [...replies];
    this.#server = createServer((request, response) => {
      let text = "";
      request.on("data", (piece) => {
        text += piece;
      });
      request.on("end", () => {
        const call = `${request.method} ${request.url!.replace("/v0", "")}`;
        this.seen.push({ call, headers: request.headers, body: text ? JSON.parse(text) : null, at: clock.ms / 1000 });
        const reply = this.replies.shift() ?? { problem: { status: 599, error: "one_too_many" } };
        clock.ms += (reply.took ?? 0) * 1000;
        if (reply.hang) return;
        if (reply.drop) return void request.socket.destroy();
        const [status, type, body] = answerOf(reply);
        const echo = reply.echo === false ? {} : { "Jobs-Contract": "1" };
        response.sendDate = false;
        response.writeHead(status, { "Content-Type": type, ...echo, ...reply.headers });
        response.end(body);
      });
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v0`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Status, type and body of a reply. */
function answerOf(reply: Json): [number, string, string] {
  if (reply.problem) {
    const { status } = reply.problem;
    const problem = { type: "about:blank", title: "-", message: "refused", code: status, ...reply.problem };
    return [status, "application/problem+json", JSON.stringify(problem)];
  }
  if (reply.events) {
    const events = reply.events.map((event: Json) => `event: update\ndata: ${JSON.stringify(event)}\n\n`).join("");
    return [200, "text/event-stream", events + (reply.end ? "event: end\ndata: {}\n\n" : "")];
  }
  const status = reply.status ?? 200;
  if (reply.text !== undefined) return [status, "text/html", reply.text];
  let body = "json" in reply ? reply.json : spelledOut(reply);
  if (Array.isArray(body.data)) body = { ...body, data: body.data.map(spelledOut) };
  return [status, "application/json", JSON.stringify(body)];
}

/** JobExecution, or what a create answers, for what a case says of it. */
function spelledOut(short: Json): Json {
  if (short.created) {
    const view = spelledOut({ execution: short.created });
    return { executionId: view.metadata.id, disposition: "created", ...view };
  }
  if (!short.execution) return short;
  const { id = "e-1", status = "pending", ...more } = short.execution;
  const at = "2026-11-22T12:00:00Z";
  return {
    metadata: { id, job: "my-job", workspace: "default", createdAt: at, updatedAt: at },
    spec: { taskCount: 1, priority: "medium" },
    status,
    done: ["completed", "failed", "cancelled"].includes(status),
    stats: { total: 1, success: 0, failure: 0, running: 0, retried: 0, cancelled: 0 },
    ...more,
  };
}

const SECONDS = new Set(["delay", "retryDelay", "timeout", "maxWait", "interval", "requestTimeout", "initial", "max"]);
const NAMES: Record<string, string> = { raiseOnFailure: "throwOnFailure", baseUrl: "url" };

/** The names and the units of this language. */
function ours(options: Json = {}): Json {
  const entries = Object.entries<Json>(options).map(([name, value]) => {
    const camel = name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
    const spelled = camel === "retryPolicy" ? ours(value) : SECONDS.has(camel) ? value * 1000 : value;
    return [NAMES[camel] ?? camel, spelled];
  });
  return Object.fromEntries(entries);
}

async function all<T>(found: AsyncIterable<T>): Promise<T[]> {
  const rows: T[] = [];
  for await (const row of found) rows.push(row);
  return rows;
}

const page = async (found: Promise<Json>) => {
  const { hasMore, nextCursor, length } = await found;
  return { rows: Array.from({ length }, (_, index) => index), more: hasMore, cursor: nextCursor ?? null, list: await found };
};

const CALLS: Record<string, (job: blaxel.Job<any, any>, jobs: Jobs, call: Json) => Promise<Json>> = {
  create: (job, _, { request, options }) => job.createExecution(request, ours(options)),
  run: (job, _, { tasks, options }) => job.run(tasks, ours(options)),
  trigger: (job, _, { payload, options }) => job.trigger(payload, ours(options)),
  batch: async (job, _, { payloads, options }) => {
    const made = await job.batchTrigger(payloads, ours(options));
    return { id: made.id, executions: made.map((execution) => execution.id) };
  },
  get: (job, _, { id }) => job.getExecution(id),
  status: (job, _, { id }) => job.getExecutionStatus(id),
  statuses: (job, _, { ids }) => job.getExecutionStatuses(ids),
  result: (job, _, { id }) => job.getExecutionResult(id),
  list: (job, _, { call, result, error, ...options }) => page(job.listExecutions(options)),
  list_all: async (job, _, { limit }) => (await all(await job.listExecutions({ limit }))).map((execution) => execution.id),
  find: (_, jobs, { limit, status }) => page(jobs.listExecutions({ limit, status })),
  wait: (job, _, { call, id, result, error, ...options }) => job.waitForExecution(id, ours(options)),
  wait_many: async (job, _, { ids, max_wait }) =>
    (await job.waitForExecutions(ids, { maxWait: max_wait * 1000 })).map(({ id, status }) => ({ id, status })),
  watch: (job, _, { id }) => all(job.watch(id)),
  cancel: (job, _, { id }) => job.cancelExecution(id),
  start: (job, _, { id }) => job.startExecution(id),
  pause: (job, _, { id }) => job.pauseExecution(id),
  resume: (job, _, { id }) => job.resumeExecution(id),
  retry: (job, _, { id }) => job.retryExecution(id),
  rerun: (job, _, { id, options }) => job.rerunExecution(id, ours(options)),
  delete: (job, _, { id, force }) => job.deleteExecution(id, { force }),
  send_event: (job, _, { id, name, payload }) => job.sendEvent(id, name, payload),
};

/** Everything that is wanted is found, in its place. */
function within(wanted: Json, found: Json): boolean {
  if (Array.isArray(wanted)) {
    return Array.isArray(found) && wanted.length === found.length && wanted.every((one, index) => within(one, found[index]));
  }
  if (typeof wanted !== "object" || wanted === null) return (found ?? null) === wanted;
  return typeof found === "object" && found !== null && Object.entries(wanted).every(([key, one]) => within(one, found[key]));
}

/** What a call gave, by the contract's names. */
function wire(result: Json): Json {
  if (result instanceof blaxel.Execution) return result.toJSON();
  if (result?.list) return { ...result, rows: Array.from(result.list as blaxel.Execution[], (row) => row.id) };
  return result;
}

async function checkCall(call: Json, job: blaxel.Job, jobs: Jobs): Promise<void> {
  const perform = () => CALLS[call.call]!(job, jobs, call);
  if (!call.error) {
    const result = wire(await perform());
    assert.ok(within(call.result, result), JSON.stringify(result));
    return;
  }
  const { class: name, says = "", retry_after, ...wanted } = call.error;
  const error: Json = await perform().then(
    () => assert.fail("nothing was thrown"),
    (thrown) => thrown,
  );
  assert.ok(error instanceof (blaxel as Json)[name], `${error.stack} is no ${name}`);
  assert.equal(error.name, name);
  assert.ok(error.message.includes(says), error.message);
  if (retry_after !== undefined) assert.equal(error.retryAfter, retry_after * 1000);
  for (const [field, value] of Object.entries(ours(wanted))) assert.ok(within(value, error[field]), `${field}: ${error[field]}`);
}

function checkRequests(wanted: Json[], seen: Seen[]): void {
  const calls = wanted.map((one) => withoutOrder(one.call ?? one));
  assert.deepEqual(
    seen.map((one) => withoutOrder(one.call)),
    calls,
  );
  for (const [index, one] of wanted.entries()) {
    const { headers = {}, body, at } = typeof one === "string" ? ({} as Json) : one;
    const request = seen[index]!;
    for (const [name, value] of Object.entries<Json>(headers)) {
      const found = request.headers[name.toLowerCase()] ?? null;
      // A number is written as each language does.
      assert.ok(found === value || (name === "Mock-Slept" && value && Number(found) === Number(value)), `${name}: ${found}`);
    }
    if (body !== undefined) assert.deepEqual(request.body, body);
    if (at !== undefined) assert.ok(Math.abs(request.at - at) < 1e-6, `at ${request.at}, not ${at}`);
  }
}

function withoutOrder(call: string): Json {
  const [path, query = ""] = call.split("?");
  return [path, query.split("&").sort()];
}

for (const one of CASES) {
  test(one.name, { timeout: 30_000 }, async () => {
    const clock = new FakeClock();
    const script = new Script(one.replies, clock);
    const url = await script.listen();
    if (one.server === "none") await script.close();
    const connection = new Connection({ requestTimeout: 60_000, retries: 2, ...ours(one.settings), url }, clock);
    if (one.knows) connection.contract = one.knows === "ours";
    const jobs = new Jobs(() => connection);
    try {
      for (const call of one.do) await checkCall(call, jobs.job("my-job"), jobs);
      checkRequests(one.requests, script.seen);
      assert.equal(script.replies.length, 0);
      if (one.slept !== undefined) assert.equal(clock.ms / 1000, one.slept);
    } finally {
      if (one.server !== "none") await script.close();
    }
  });
}
