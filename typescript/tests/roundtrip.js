/** For any runtime: creates executions of the server at BL_API_URL, waits for them, and prints what came of them. */

import { blJob, NotFound } from "../dist/index.js";

const job = blJob("anywhere");
const id = await job.createExecution({ tasks: [{ duration: 3600 }, { output: { text: "\u20ac" } }] });
const ended = await job.waitForExecution(id, { maxWait: 7_200_000 });
const failed = await job.waitForExecution(await job.createExecution({ tasks: [{ fail: "no luck" }] }));
const ids = (await job.listExecutions()).map((execution) => execution.id);
const refused = await job.getExecution("nobody").catch((error) => error instanceof NotFound);
const runtime = "Deno" in globalThis ? "deno" : "Bun" in globalThis ? "bun" : "node";
console.log(
  JSON.stringify({
    runtime,
    status: ended.status,
    results: ended.results,
    failed: failed.status,
    listed: ids.includes(id),
    refused,
  }),
);
