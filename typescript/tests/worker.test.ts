/** Handlers and workers, against a server of ours. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { type } from "arktype";
import {
  createJobs,
  DuplicateStep,
  defineJob,
  ExecutionFailed,
  InvalidRequest,
  type Job,
  type JobDef,
  NotSerializable,
  PermanentError,
  RetryAfter,
  StepTimeout,
} from "blaxel-jobs";
import { createWorker, type Worker } from "blaxel-jobs/worker";
import * as v from "valibot";
import { z } from "zod";
import { startServer, until } from "./server.js";

let url: string;
let stopServer: () => void;

before(async () => {
  ({ url, stop: stopServer } = await startServer("--lease", "2"));
});
after(() => stopServer());

/** Serve a job with a worker of its own, while `use` runs. */
async function served<I, O>(definition: JobDef<I, any, O>, use: (job: Job<I, O>, worker: Worker) => Promise<void>): Promise<void> {
  const worker = createWorker({ url, jobs: [definition], grace: 0, say: () => {} });
  await worker.start();
  try {
    await use(createJobs({ url }).job(definition), worker);
  } finally {
    await worker.stop();
  }
}

/** What a job whose handler is `run` fails with. */
async function failure(
  run: JobDef["run"],
  options: Partial<JobDef> = {},
): Promise<{ kind: string; type: string; message: string }> {
  let found: { kind: string; type: string; message: string } | undefined;
  const definition = defineJob({ name: `fails-${crypto.randomUUID()}`, ...(options as object), run });
  await served(definition, async (job) => {
    const execution = await (await job.trigger(null)).wait();
    assert.equal(execution.status, "failed");
    found = execution.error;
  });
  return found!;
}

/** A proxy before the server, which does what it is asked. Its first answer to each report of a worker is a page instead. */
async function behindPages(use: (url: string) => Promise<void>): Promise<void> {
  const known = new Set<string>();
  const isNew = (report: object) => {
    const size = known.size;
    return known.add(JSON.stringify({ ...report, linesBefore: undefined })).size > size;
  };
  const proxy = createServer(async (request, response) => {
    const gone = new AbortController();
    response.on("close", () => gone.abort());
    try {
      let body = "";
      for await (const piece of request) body += piece;
      const { host: _, connection: __, "content-length": ___, ...headers } = request.headers;
      const answer = await fetch(new URL(request.url!, url), {
        method: request.method!,
        headers: headers as Record<string, string>,
        body: body || null,
        signal: gone.signal,
      });
      const text = await answer.text();
      const reports: object[] = request.url!.endsWith("/leases/report") ? JSON.parse(body).reports : [];
      if (reports.filter(isNew).length) response.end("<html>Soon.</html>");
      else response.writeHead(answer.status, { "Jobs-Contract": "1", "Content-Type": "application/json" }).end(text);
    } catch {
      response.destroy();
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  try {
    await use(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}/v0`);
  } finally {
    proxy.closeAllConnections();
    proxy.close();
  }
}

describe("steps", { concurrency: 8 }, () => {
  test("a report whose answer is some page is made again, and counts once", async () => {
    const ran: string[] = [];
    const said: string[] = [];
    const definition = defineJob({
      name: "behind-pages",
      maxRetries: 1,
      retryDelay: 0,
      run: async (step) => {
        step.log.info("begun");
        await step.run("one", () => {
          ran.push("one");
        });
        await step.sleep("nap", 10);
        if (step.attempt === 1) throw new Error("once");
        return "done";
      },
    });
    const direct = url;
    await behindPages(async (url) => {
      const worker = createWorker({ url, jobs: [definition], grace: 0, say: (_, line) => said.push(line) });
      await worker.start();
      try {
        const execution = await (await createJobs({ url: direct }).job(definition).trigger(null)).wait();
        assert.deepEqual([execution.status, execution.result, ran], ["completed", "done", ["one"]]);
        assert.deepEqual(execution.recoveries, []);
        const lines = (await execution.logs()).map(({ message }) => message);
        assert.deepEqual(lines, ["begun", "begun"]);
      } finally {
        await worker.stop();
      }
    });
    assert.ok(said.some((line) => line.startsWith("report is tried again: execution ")));
    assert.deepEqual(
      said.filter((line) => line.includes("lost") || line.includes("refused")),
      [],
    );
  });

  test("s2-10: a step runs once, and its value is replayed at the next try", async () => {
    const ran: string[] = [];
    const definition = defineJob({
      name: "replayed",
      maxRetries: 1,
      retryDelay: 0,
      run: async (step) => {
        const one = await step.run("one", () => {
          ran.push("one");
          return { n: 1, missing: undefined };
        });
        const nothing = await step.run("nothing", () => {});
        if (step.attempt === 1) throw new Error("not yet");
        return { one, nothing, attempt: step.attempt };
      },
    });
    await served(definition, async (job) => {
      const { output } = await job.triggerAndWait(null);
      assert.deepEqual(output, { one: { n: 1 }, nothing: null, attempt: 2 });
    });
    assert.deepEqual(ran, ["one"]);
  });

  test("s2-23: retry goes on after the stored steps", async () => {
    const ran: string[] = [];
    let broken = true;
    const definition = defineJob({
      name: "mended",
      run: async (step, payload: { id: string }) => {
        const id = await step.run("first", () => {
          ran.push("first");
          return payload.id;
        });
        return step.run("second", () => {
          if (broken) throw new Error("Something went wrong");
          return `${id}!`;
        });
      },
    });
    await served(definition, async (job) => {
      const execution = await (await job.trigger({ id: "a" })).wait();
      assert.equal(execution.status, "failed");
      assert.equal(execution.error?.message, "Something went wrong");
      assert.match(execution.error?.trace ?? "", /worker\.test/);
      broken = false;
      const jobs = createJobs({ url });
      assert.equal(await (await jobs.retry(execution.id)).getResult(), "a!");
    });
    assert.deepEqual(ran, ["first"]);
  });

  test("s2-13: a second use of a name is an error, in the same task", async () => {
    const error = await failure(async (step) => {
      await step.run("step", () => 1);
      await step.run("step", () => 2);
    });
    assert.equal(error.type, new DuplicateStep().name);
    assert.equal(error.kind, "permanent");
  });

  const forgetful: Record<string, [JobDef["run"], RegExp]> = {
    "a step that runs on": [
      async (step) => {
        step.run("charge", () => new Promise(() => {}));
      },
      /^step\.run\("charge"\) was not awaited/,
    ],
    "a step that nobody asked for its error": [
      async (step) => {
        step.run("charge", () => {
          throw new TypeError("no card");
        });
        await step.run("after", () => 1);
      },
      /^step\.run\("charge"\) was not awaited.*TypeError: no card/,
    ],
    "a step of something detached": [
      async (step) => {
        const charge = async () => step.run("charge", () => new Promise(() => {}));
        charge();
      },
      /^step\.run\("charge"\) was not awaited/,
    ],
    "a handler that is no async function": [
      (step) => {
        step.sleep("rest", 60_000);
        step.waitForEvent("approval");
      },
      /^step\.sleep\("rest"\), step\.waitForEvent\("approval"\) were not awaited/,
    ],
    "more than fit": [
      async (step) => {
        for (const name of ["a", "b", "c", "d", "e"]) step.run(name, () => new Promise(() => {}));
      },
      /^step\.run\("a"\), step\.run\("b"\), step\.run\("c"\) and 2 more were not awaited/,
    ],
  };
  for (const [title, [run, message]] of Object.entries(forgetful)) {
    test(`a forgotten await fails the task for good, and is named: ${title}`, async () => {
      const error = await failure(run, { maxRetries: 3, retryDelay: 0 });
      assert.match(error.message, message);
      assert.deepEqual([error.type, error.kind], ["PermanentError", "permanent"]);
    });
  }

  test("what is awaited through something else is not forgotten", async () => {
    const definition = defineJob({
      name: "awaited",
      run: async (step) => {
        const early = step.run("early", () => 1);
        const both = await Promise.all([step.run("a", () => "a"), step.run("b", async () => "b")]);
        const [late] = await Promise.allSettled([step.run("late", () => Promise.reject(new Error("late")))]);
        const first = await Promise.race([step.sleep("soon", 1).then(() => "slept"), step.waitForEvent("never")]);
        const second = await Promise.race([step.sleep("later", 2500).then(() => "slept"), step.waitForEvent("ever")]);
        return [await early, both, late.status, first, second];
      },
    });
    await served(definition, async (job) => {
      const { output } = await job.triggerAndWait(null);
      assert.deepEqual(output, [1, ["a", "b"], "rejected", "slept", "slept"]);
    });
  });

  test("a handler's own error comes before what it left behind", async () => {
    const error = await failure(async (step) => {
      step.run("charge", () => Promise.reject(new Error("unheard")));
      step.run("other", () => new Promise(() => {}));
      throw new RangeError("mine");
    });
    assert.deepEqual([error.type, error.message], ["RangeError", "mine"]);
  });

  test("a step's own retries, and the last error", async () => {
    let tries = 0;
    const definition = defineJob({
      name: "step-retries",
      run: (step) =>
        step.run(
          "flaky",
          () => {
            tries += 1;
            if (tries < 3) throw new Error("flaky");
            return tries;
          },
          { maxRetries: 2, retryDelay: 1 },
        ),
    });
    await served(definition, async (job) => assert.equal((await job.triggerAndWait(null)).output, 3));
    const error = await failure((step) =>
      step.run("x", () => Promise.reject(new TypeError("again")), { maxRetries: 1, retryDelay: 1 }),
    );
    assert.deepEqual([error.kind, error.type, error.message], ["error", "TypeError", "again"]);
  });

  test("a step that takes too long is cut off, its signal aborted", async () => {
    let signal: AbortSignal | undefined;
    const error = await failure((step) =>
      step.run(
        "slow",
        (given) => {
          signal = given;
          return new Promise(() => {});
        },
        { timeout: 20 },
      ),
    );
    assert.deepEqual([error.kind, error.type], ["timeout", new StepTimeout().name]);
    assert.equal(signal?.aborted, true);
  });

  test("what JSON cannot carry is refused, by its place", async () => {
    for (const [value, place] of [
      [{ when: new Date() }, "value.when"],
      [[1, new Map()], "value[1]"],
      [Number.NaN, "value is NaN"],
      [{ f: () => 1 }, "value.f"],
      ["x".repeat(1024 * 1024 + 1), "1 MB"],
    ] as const) {
      const error = await failure((step) => step.run("value", () => value));
      assert.deepEqual([error.kind, error.type], ["not_serializable", new NotSerializable().name]);
      assert.ok(error.message.includes(place), error.message);
    }
  });

  test("several steps run at once, and sleeps beside them do not cut them off", async () => {
    const ran: string[] = [];
    const definition = defineJob({
      name: "at-once",
      run: async (step) =>
        Promise.all([
          step.run("a", async () => {
            await new Promise((resolve) => setTimeout(resolve, 50));
            ran.push("a");
            return "a";
          }),
          step.sleep("nap", 3000),
          step.run("b", () => {
            ran.push("b");
            return "b";
          }),
        ]),
    });
    await served(definition, async (job) => assert.deepEqual((await job.triggerAndWait(null)).output, ["a", null, "b"]));
    assert.deepEqual(ran.sort(), ["a", "b"]);
  });

  test("a long sleep frees its slot, and what follows goes on after it", async () => {
    const seen: number[] = [];
    const definition = defineJob({
      name: "sleeper",
      run: async (step) => {
        seen.push(step.attempt);
        await step.sleep("long", 2500);
        return step.attempt;
      },
    });
    await served(definition, async (job, worker) => {
      const execution = await job.trigger(null);
      await until(async () => (await execution.refresh()).waitingFor === "time");
      await until(() => worker.running === 0);
      assert.equal(await execution.getResult(), 1);
    });
    assert.deepEqual(seen, [1, 1]);
  });

  test("an event is waited for, and one that does not come in time is StepTimeout", async () => {
    const definition = defineJob({
      name: "paid",
      run: async (step) => {
        const paid = await step.waitForEvent("paid");
        const late = await step.waitForEvent("never", { timeout: 1 }).catch((error) => error.name);
        return { paid, late };
      },
    });
    await served(definition, async (job) => {
      const execution = await job.trigger(null);
      await until(async () => (await execution.refresh()).waitingFor === "event");
      await execution.sendEvent("paid", { sum: 3 });
      assert.deepEqual(await execution.getResult(), { paid: { sum: 3 }, late: "StepTimeout" });
    });
  });

  test("progress and logs are kept", async () => {
    const definition = defineJob({
      name: "talks",
      run: (step) => {
        step.progress(1, 4, "quarter");
        step.log.info("hello", { n: 1, when: new Date(0) });
        step.log.warning("careful");
        return { id: step.executionId, job: step.job, index: step.index, who: step.metadata.who, env: step.env.A };
      },
    });
    await served(definition, async (job) => {
      const execution = await (await job.trigger(null, { metadata: { who: "me" }, env: { A: "b" } })).wait();
      assert.deepEqual(execution.result, { id: execution.id, job: "talks", index: 0, who: "me", env: "b" });
      assert.deepEqual(execution.progress, { current: 1, total: 4, message: "quarter" });
      const lines = (await execution.logs()).map(({ level, message }) => [level, message]);
      assert.deepEqual(lines, [
        ["info", "hello"],
        ["warning", "careful"],
      ]);
      assert.deepEqual((await execution.listSteps()).length, 0);
    });
  });
});

describe("the end of a handler", { concurrency: 8 }, () => {
  test("a PermanentError is not tried again, a RetryAfter is", async () => {
    const error = await failure(
      () => {
        throw new PermanentError("never");
      },
      { maxRetries: 5 },
    );
    assert.deepEqual([error.kind, error.message], ["permanent", "never"]);
    let tries = 0;
    const definition = defineJob({
      name: "later",
      maxRetries: 1,
      retryDelay: 3_600_000,
      run: () => {
        tries += 1;
        if (tries === 1) throw new RetryAfter(1);
        return tries;
      },
    });
    await served(definition, async (job) => assert.equal((await job.triggerAndWait(null)).output, 2));
  });

  test("a cancel aborts the signal, and nothing more is kept", async () => {
    let reason: unknown;
    const definition = defineJob({
      name: "cancelled",
      run: (step) =>
        new Promise((_, reject) =>
          step.signal.addEventListener("abort", () => {
            reason = step.signal.reason;
            reject(reason);
          }),
        ),
    });
    await served(definition, async (job) => {
      const execution = await job.trigger(null);
      await until(async () => (await execution.refresh()).status === "running");
      await execution.cancel();
      await until(() => reason);
      assert.equal((reason as Error).name, "LeaseLost");
      assert.equal((await execution.refresh()).status, "cancelled");
    });
  });

  test("a pause unwinds the handler at its next step, and a resume goes on after the last", async () => {
    const ran: string[] = [];
    let go: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const definition = defineJob({
      name: "paused",
      run: async (step) => {
        await step.run("one", async () => {
          ran.push("one");
          await gate;
          return 1;
        });
        return step.run("two", () => {
          ran.push("two");
          return step.attempt;
        });
      },
    });
    await served(definition, async (job, worker) => {
      const execution = await job.trigger(null);
      await until(() => ran.length);
      await execution.pause();
      go();
      await until(() => worker.running === 0);
      assert.equal((await execution.refresh()).status, "paused");
      await execution.resume();
      assert.equal(await execution.getResult(), 1);
    });
    assert.deepEqual(ran, ["one", "two"]);
  });

  test("an execution's timeout ends its handler", async () => {
    const definition = defineJob({ name: "timed-out", timeout: 100, run: () => new Promise(() => {}) });
    await served(definition, async (job, worker) => {
      const execution = await (await job.trigger(null)).wait();
      assert.deepEqual([execution.status, execution.error?.kind], ["failed", "timeout"]);
      await until(() => worker.running === 0); // though it does not heed its signal
    });
  });
});

describe("definitions", { concurrency: 8 }, () => {
  const schemas = {
    zod: { input: z.object({ id: z.string(), n: z.coerce.number().default(3) }), output: z.object({ result: z.string() }) },
    valibot: { input: v.object({ id: v.string(), n: v.optional(v.number(), 3) }), output: v.object({ result: v.string() }) },
    arktype: { input: type({ id: "string", n: "number = 3" }), output: type({ result: "string" }) },
  };
  for (const [library, { input, output }] of Object.entries(schemas)) {
    test(`s2-05: what ${library} does not take is not sent, and what it makes of a payload is what the handler gets`, async () => {
      const definition = defineJob({
        name: `typed-${library}`,
        input: input as typeof schemas.zod.input,
        output: output as typeof schemas.zod.output,
        run: async (_, payload) => ({ result: payload.id.repeat(payload.n) }),
      });
      await served(definition, async (job) => {
        assert.deepEqual((await job.triggerAndWait({ id: "a" })).output, { result: "aaa" });
        await assert.rejects(job.trigger({ id: 5 as unknown as string }), (error: InvalidRequest) => {
          assert.ok(error instanceof InvalidRequest);
          assert.equal(error.path, "input.id");
          return true;
        });
        await assert.rejects(job.batchTrigger([{ id: "a" }, {} as { id: string }]), { path: "items[1].input.id" });
        const unchecked = createJobs({ url }).job(definition.name);
        const execution = await (await unchecked.trigger({ id: 5 })).wait();
        assert.deepEqual([execution.error?.kind, execution.error?.type], ["invalid_input", "InvalidInput"]);
      });
    });
  }

  test("s2-07: an output that is not what was promised fails the task", async () => {
    const definition = defineJob({
      name: "liar",
      output: z.object({ n: z.number() }),
      run: () => ({ n: "1" }) as never,
      maxRetries: 3,
    });
    await served(definition, async (job) => {
      const execution = await (await job.trigger(null)).wait();
      assert.equal(execution.error?.kind, "invalid_output");
      assert.equal(execution.tasks[0]?.attempts, 1);
    });
  });

  test("s2-04: a bad definition is refused where it is made", () => {
    const run = () => null;
    for (const [bad, path] of [
      [{ name: "", run }, "name"],
      [{ name: "a/b", run }, "name"],
      [{ name: "a" }, "run"],
      [{ name: "a", run, input: {} }, "input"],
      [{ name: "a", run, retries: 3 }, "retries"],
      [{ name: "a", run, timeout: -1 }, "timeout"],
    ] as const) {
      assert.throws(() => defineJob(bad as never), { name: "InvalidRequest", path });
    }
  });

  test("the server is told of a definition", async () => {
    const definition = defineJob({
      name: "told",
      input: z.object({ id: z.string() }),
      maxRetries: 2,
      retryPolicy: { initial: 10, max: 100 },
      timeout: 5000,
      concurrencyPerKey: 3,
      queue: "images",
      run: () => null,
    });
    await served(definition, async () => {
      const answer = await fetch(`${url}/v0/jobs/told`, { headers: { "Jobs-Contract": "1" } });
      const { definition: kept } = (await answer.json()) as { definition: Record<string, unknown> };
      const { inputSchema, ...rest } = kept;
      assert.deepEqual(rest, {
        maxRetries: 2,
        retryPolicy: { initialMs: 10, factor: 2, maxMs: 100, jitter: "full" },
        timeoutMs: 5000,
        concurrencyPerKey: 3,
        queue: "images",
      });
      assert.equal((inputSchema as { type: string }).type, "object");
    });
  });

  test("s2-03: register gives handles, and two definitions of one name are refused", () => {
    const one = defineJob({ name: "one", run: () => 1 });
    const handles = createJobs({ url }).register({ one, again: one });
    assert.equal(handles.one.name, "one");
    assert.throws(() => createJobs().register({ one, other: defineJob({ name: "one", run: () => 2 }) }), InvalidRequest);
  });
});

describe("workers", { concurrency: 8 }, () => {
  test("slots are the most tasks at once", async () => {
    let now = 0;
    let most = 0;
    const definition = defineJob({
      name: "slots",
      run: async () => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setTimeout(resolve, 20));
        now -= 1;
      },
    });
    const two = createWorker({ url, jobs: { definition }, slots: 2 });
    await two.start();
    const batch = await createJobs({ url })
      .job(definition)
      .batchTrigger(Array.from({ length: 12 }, () => null));
    const ended = await createJobs({ url }).waitForExecutions(batch.map((execution) => execution.id));
    await two.stop();
    assert.ok(ended.every((execution) => execution.status === "completed"));
    assert.equal(most, 2);
  });

  test("queues choose the jobs", () => {
    const images = defineJob({ name: "images", queue: "images", run: () => null });
    const plain = defineJob({ name: "plain", run: () => null });
    assert.deepEqual(createWorker({ url, jobs: [images, plain], queues: ["images"] }).jobs, ["images"]);
    assert.deepEqual(createWorker({ url, jobs: [images, plain], queues: ["default"] }).jobs, ["plain"]);
    assert.throws(() => createWorker({ url, jobs: [plain], queues: ["images"] }), { name: "ConfigError" });
  });

  test("a result of a megabyte and reports of many tasks get through", async () => {
    const definition = defineJob({ name: "large", run: (_, size: number) => "\u00e4".repeat(size) });
    await served(definition, async (job) => {
      const large = await job.batchTrigger(Array.from({ length: 6 }, () => 500_000));
      for (const execution of large) assert.equal((await execution.getResult()).length, 500_000);
    });
  });

  test("hooks are called in their turn, and what onStart throws keeps it from starting", async () => {
    const called: string[] = [];
    const definition = defineJob({ name: "hooks", run: () => called.push("run") });
    const hooked = createWorker({
      url,
      jobs: [definition],
      onStart: () => called.push("start"),
      onStop: () => called.push("stop"),
    });
    await hooked.start();
    await createJobs({ url }).job(definition).triggerAndWait(null);
    await hooked.stop();
    await hooked.stop();
    assert.deepEqual(called, ["start", "run", "stop"]);
    const broken = createWorker({
      url,
      jobs: [definition],
      onStart: () => {
        throw new Error("no");
      },
    });
    await assert.rejects(broken.start(), /no/);
  });

  test("a server that is none is said so", async () => {
    const lost = createWorker({ url: `${url}/elsewhere`, jobs: [defineJob({ name: "x", run: () => null })] });
    await assert.rejects(lost.start(), { name: "NotFound", message: /has work for workers/ });
    assert.throws(() => createWorker({ url: "https://api.blaxel.ai/v0", jobs: [defineJob({ name: "x", run: () => null })] }), {
      name: "ConfigError",
    });
  });

  test("triggerAndWait throws what failed", async () => {
    const definition = defineJob({
      name: "no-luck",
      run: () => {
        throw new Error("no luck");
      },
    });
    await served(definition, async (job) => {
      await assert.rejects(job.triggerAndWait(null), (error: ExecutionFailed) => {
        assert.ok(error instanceof ExecutionFailed);
        assert.equal(error.execution?.status, "failed");
        assert.match(error.message, /no luck/);
        return true;
      });
    });
  });
});
