/** The client against the mock server, which the package's own helper for tests starts. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, before, describe, test } from "node:test";
import {
  blJob,
  ConnectionFailed,
  configure,
  createJobs,
  defineJob,
  Execution,
  NotFound,
  NotLoaded,
  WaitTimeoutError,
} from "blaxel-jobs";
import globalSetup, { globalTeardown, startMock } from "blaxel-jobs/testing";
import { z } from "zod";

const provided: unknown[] = [];
before(() => globalSetup({ provide: (...given: unknown[]) => provided.push(given) }));
after(() => globalTeardown());

test("the helper for tests hands over the mock's URL, so that a plain blJob reaches it", async () => {
  assert.deepEqual(provided, [["jobsMockUrl", process.env.BL_API_URL]]);
  const id = await blJob("my-job").createExecution({ tasks: [{ duration: 1 }] });
  assert.equal((await blJob("my-job").waitForExecution(id)).status, "completed");
});

test("a mock that cannot start says why", async () => {
  await assert.rejects(startMock({ args: ["--clock", "sundial"] }), /did not start[\s\S]*sundial/);
  await assert.rejects(startMock({ python: "/nowhere/python" }), /did not start/);
});

test("s1-12, k-10: time is the mock's: an hour passes in no time, and a wait ends in it", async () => {
  const job = blJob("render");
  const began = performance.now();
  const id = await job.createExecution({ tasks: [{ duration: 3600 }, { duration: 1800 }] });
  await assert.rejects(job.waitForExecution(id, { maxWait: 3_599_000 }), WaitTimeoutError);
  const execution = await job.waitForExecution(id, { maxWait: 10_000 });
  assert.equal(execution.status, "completed");
  assert.ok(performance.now() - began < 60_000);
  assert.deepEqual(execution.results, [null, null]);
  assert.equal(execution.tasks.length, 2);
  assert.equal(execution.metadata.job, "render");
});

test("s1-21, s1-19: a list is a real Array that pages", async () => {
  const job = blJob("listed");
  const batch = await job.batchTrigger(Array.from({ length: 25 }, (_, n) => ({ n })));
  assert.ok(Array.isArray(batch));
  assert.equal(batch.length, 25);
  const page = await job.listExecutions({ limit: 10 });
  assert.ok(Array.isArray(page) && page[0] instanceof Execution);
  assert.equal(page.length, 10);
  assert.equal(page.map((execution) => execution.id).constructor, Array);
  const second = await page.nextPage();
  const third = await second.nextPage();
  assert.deepEqual([second.length, third.length, third.hasMore, third.nextCursor], [10, 5, false, undefined]);
  assert.equal((await third.nextPage()).length, 0);
  const all = new Set<string>();
  for await (const execution of page) all.add(execution.id);
  assert.deepEqual([...all].sort(), batch.map((execution) => execution.id).sort());
  const rows = await createJobs().listExecutions({ batch: batch.id, status: ["pending", "running", "completed"], limit: 100 });
  assert.equal(rows.length, 25);
});

test("an execution knows what it was not told", async () => {
  const job = blJob("lazy");
  const execution = await job.trigger({ duration: 1, output: { a: 1 } });
  assert.throws(() => execution.tasks, NotLoaded);
  await execution.wait();
  assert.deepEqual(execution.result, { a: 1 });
  assert.deepEqual(JSON.parse(JSON.stringify(execution)).result, { a: 1 });
  const [row] = await job.listExecutions();
  assert.throws(() => row?.result, NotLoaded);
  const [ended] = await job.waitForExecutions([execution.id]);
  assert.throws(() => ended?.metadata, NotLoaded);
  assert.equal((await ended?.refresh())?.result.a, 1);
});

test("verbs", async () => {
  const job = blJob("steered");
  const execution = await job.trigger({ fail: "no luck" }, { autoStart: false });
  assert.equal(execution.waitingFor, "start");
  assert.equal((await execution.pause()).status, "paused");
  await execution.resume();
  await execution.start();
  assert.equal((await execution.wait()).status, "failed");
  await assert.rejects(execution.getResult(), { name: "ExecutionFailed", message: /no luck/ });
  const again = await execution.rerun({ autoStart: false });
  assert.notEqual(again.id, execution.id);
  await job.cancelExecution(again.id);
  assert.equal(await job.getExecutionStatus(again.id), "cancelled");
  await again.delete();
  await assert.rejects(job.getExecution(again.id), NotFound);
  assert.equal((await job.stats()).failed, 1);
  assert.ok("steered" in (await createJobs().stats()));
});

test("a signal ends a wait with its reason, and the execution goes on", async () => {
  await using real = await startMock({ clock: "real" });
  const job = createJobs({ url: real.url }).job("endless");
  const execution = await job.trigger({ hang: true });
  for (const wait of [
    (signal: AbortSignal) => job.waitForExecution(execution.id, { signal }),
    (signal: AbortSignal) => job.waitForExecutions([execution.id], { signal }),
    (signal: AbortSignal) => execution.wait({ signal, interval: 60_000 }),
  ]) {
    const reason = new Error("enough");
    const controller = new AbortController();
    const waiting = wait(controller.signal);
    setTimeout(() => controller.abort(reason), 50);
    await assert.rejects(waiting, reason);
  }
  await assert.rejects(job.waitForExecution(execution.id, { signal: AbortSignal.abort(new Error("before")) }), /before/);
  assert.equal((await execution.refresh()).done, false);
});

describe("settings", () => {
  test("s1-08: making a job does no I/O and reads nothing", () => {
    configure({ url: "http://127.0.0.1:1" });
    try {
      assert.equal(blJob("my-job").name, "my-job");
      assert.throws(() => blJob("no/job"), { name: "InvalidRequest" });
    } finally {
      configure({ url: undefined });
    }
  });

  test("what is configured wins over the environment, and an argument over that", async () => {
    configure({ url: "http://127.0.0.1:1", retries: 0 });
    try {
      await assert.rejects(blJob("x").getExecutionStatus("e"), ConnectionFailed);
      const own = createJobs({ url: process.env.BL_API_URL });
      await assert.rejects(own.job("x").getExecutionStatus("e"), NotFound);
    } finally {
      configure({ url: undefined, retries: undefined });
    }
    await assert.rejects(blJob("x").getExecutionStatus("e"), NotFound);
  });

  test("bad ones are refused", () => {
    assert.throws(() => configure({ uri: "http://x" } as never), { name: "ConfigError", message: /uri/ });
    assert.throws(() => configure({ retries: -1 }), { name: "ConfigError" });
    for (const url of ["ftp://x", "nonsense", "http://x/?a=1", "http://u:p@x"]) {
      assert.rejects(async () => createJobs({ url }).job("x").getExecution("e"), { name: "ConfigError" });
    }
  });
});

test("types are those of the definition", () => {
  const definition = defineJob({
    name: "typed",
    input: z.object({ id: z.string(), n: z.coerce.number().default(1) }),
    output: z.object({ result: z.string() }),
    run: async (step, payload) => {
      const n: number = payload.n;
      const text = await step.run("text", async () => payload.id);
      // @ts-expect-error what a step returns has the type of its function
      const wrong: number = text;
      return { result: text.repeat(n + (wrong ? 0 : 0)) };
    },
  });
  const { typed } = createJobs().register({ typed: definition });
  const used = async () => {
    await typed.trigger({ id: "a" });
    // @ts-expect-error an id is text
    await typed.trigger({ id: 1 });
    // @ts-expect-error there is no such option
    await typed.trigger({ id: "a" }, { retries: 1 });
    const { output } = await typed.triggerAndWait({ id: "a" });
    const result: string = output.result;
    // @ts-expect-error the output has nothing else
    return [result, output.other];
  };
  // @ts-expect-error the handler does not return what the output promises
  defineJob({ name: "x", output: z.object({ n: z.number() }), run: () => ({ n: "1" }) });
  assert.equal(typeof used, "function");
});

test("blStartJob runs a function with the task that the process was started for", () => {
  const code = `import { blStartJob } from "blaxel-jobs"; blStartJob(async (given) => {
    console.log(JSON.stringify(given)); if (given.fail) throw new Error("no luck"); });`;
  const start = (args: string[], env: Record<string, string> = {}) => {
    const options = { encoding: "utf8", env: { ...process.env, ...env } } as const;
    return spawnSync(process.execPath, ["--input-type=module", "-e", code, "--", "script.js", ...args], options);
  };
  const plain = start(["--name", "a", "--size=3", "--flag"]);
  assert.deepEqual([plain.status, JSON.parse(plain.stdout)], [0, { name: "a", size: "3", flag: "true" }]);
  const failed = start(["--fail", "yes"]);
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /no luck/);
  const data = `data:application/json,${encodeURIComponent(JSON.stringify({ tasks: [{ n: 1 }, { n: 2 }] }))}`;
  const second = start([], { BL_EXECUTION_DATA_URL: data, BL_TASK_KEY: "WHICH", WHICH: "1" });
  assert.deepEqual(JSON.parse(second.stdout), { n: 2 });
  assert.equal(start([], { BL_EXECUTION_DATA_URL: data, TASK_INDEX: "7" }).status, 1);
});
