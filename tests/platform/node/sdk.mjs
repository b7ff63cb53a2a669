// Calls every job method of the published SDK, and prints what came of each as one JSON object.
//
//     node sdk.mjs all | denied | credentials
//
// BL_API_URL says where, BL_API_KEY or BL_CLIENT_CREDENTIALS and BL_WORKSPACE who.
import * as core from "@blaxel/core";

const job = core.blJob("ts-job");
const interval = 20;

/** What a promise comes to, or what it throws: an error of the SDK's own by its message, else the body that the server sent. */
async function outcome(promise) {
  try {
    return { value: (await promise) ?? null };
  } catch (error) {
    return { thrown: error instanceof Error ? error.message : error };
  }
}

const scenarios = {
  async run() {
    const id = await job.run([{ duration: 0.02 }, { n: 2 }], { env: { MODE: "test" }, memory: 512 });
    return { id, execution: await job.waitForExecution(id, { interval }), status: await job.getExecutionStatus(id) };
  },
  async create() {
    const id = await job.createExecution({ tasks: [{ n: 1 }], executionId: "ts-own-id", madeUp: true });
    return { id, execution: await job.getExecution(id) };
  },
  async duplicate() {
    const again = () => job.run([{ n: 1 }], { executionId: "ts-again" });
    return [await outcome(again()), await outcome(again()), await outcome(job.run([{ n: 2 }], { executionId: "ts-again" }))];
  },
  async empty() {
    const one = await job.run([{}]);
    const two = await job.run([{}, { n: 2 }]);
    return { one, two, ended: (await job.waitForExecution(two, { interval })).status, none: await outcome(job.run([])) };
  },
  async failed() {
    return job.waitForExecution(await job.run([{ fail: "no such file" }]), { interval });
  },
  async cancel() {
    const id = await job.run([{ hang: true }]);
    const before = await job.getExecutionStatus(id);
    return { before, answer: await outcome(job.cancelExecution(id)), after: await job.waitForExecution(id, { interval }) };
  },
  async waitTimeout() {
    const id = await job.run([{ hang: true }]);
    const wait = await outcome(job.waitForExecution(id, { maxWait: 60, interval }));
    return { id, wait, after: await job.getExecutionStatus(id) };
  },
  async unknown() {
    return {
      get: await outcome(job.getExecution("nobody")),
      status: await outcome(job.getExecutionStatus("nobody")),
      wait: await outcome(job.waitForExecution("nobody", { interval })),
      cancel: await outcome(job.cancelExecution("nobody")),
    };
  },
  async list() {
    const paged = core.blJob("ts-paged");
    const made = [];
    for (let number = 0; number < 23; number++) made.push(await paged.run([{ number }]));
    const first = await paged.listExecutions();
    await paged.run([{ late: true }]);
    const second = await first.nextPage();
    const small = await paged.listExecutions({ limit: 5 });
    const everything = await small.autoPagingToArray({ limit: 100 });
    const ids = (page) => page.data.map((execution) => execution.metadata.id);
    return {
      made, first: ids(first), meta: first.meta, second: ids(second), last: second.hasMore, end: await second.nextPage(),
      everything: everything.map((execution) => execution.metadata.id),
      oldest: ids(await paged.listExecutions({ sort: "createdAt:asc", limit: 3 })),
    };
  },
  async crud() {
    const body = { metadata: { name: "ts-crud", labels: { team: "a" } }, spec: { runtime: { maxRetries: 1, timeout: 60 }, madeUp: [1] } };
    const path = { jobId: "ts-crud" };
    const data = async (call) => (await call).data;
    const created = await data(core.createJob({ body }));
    const updated = await data(core.updateJob({ path, body: { ...body, spec: { enabled: false } } }));
    const listed = await data(core.listJobs());
    const revisions = await data(core.listJobRevisions({ path }));
    const running = await core.blJob("ts-crud").run([{ hang: true }]);
    const tasks = await data(core.listJobExecutionTasks({ path: { ...path, executionId: running } }));
    const deleted = await data(core.deleteJob({ path }));
    const after = await core.getJob({ path });
    const status = await core.blJob("ts-crud").getExecutionStatus(running);
    return { created, updated, listed, revisions, tasks, deleted, after: after.error, status };
  },
};

const asked = {
  all: Object.keys(scenarios),
  denied: ["run"],
  credentials: ["run", "cancel"],
}[process.argv[2]];

const results = {};
for (const name of asked) results[name] = await outcome(scenarios[name]());
process.stdout.write(JSON.stringify(results), () => process.exit(0));
