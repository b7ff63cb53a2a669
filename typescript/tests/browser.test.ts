/** The client in a browser, at a server that lets its page's origin in. Skipped where there is no Chromium, but not in CI. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { delimiter, join } from "node:path";
import { after, test } from "node:test";
import { build } from "esbuild";
import { type Browser, chromium } from "playwright-core";
import { startServer } from "./server.js";

const places = (process.env.PATH ?? "")
  .split(delimiter)
  .flatMap((folder) => [join(folder, "chromium"), join(folder, "chromium-browser")]);
const executablePath = process.env.CHROMIUM ?? places.find((place) => existsSync(place));
const skip = !executablePath && !process.env.CI && "there is no chromium on the PATH";

const KEY = "browser-key-0123456789";
const PAGE = `
import { ConnectionFailed, createJobs, NotFound } from "./client.js";
window.run = async (url, apiKey) => {
  const jobs = createJobs({ url, apiKey, retries: 0 });
  const job = jobs.job("from-the-browser");
  const id = await job.createExecution({ tasks: [{ duration: 0.01, output: "ü" }] });
  const execution = await job.waitForExecution(id, { maxWait: 60000 });
  const updates = [];
  for await (const update of job.watch(await (await job.trigger({ duration: 0.05 })).id)) updates.push(update.status);
  const many = await job.batchTrigger([{}, {}]);
  const ended = await job.waitForExecutions(many.map((one) => one.id));
  const missing = await job.getExecution("nothing").catch((error) => [error instanceof NotFound, error.status, typeof error.requestId]);
  const nobody = await createJobs({ url: "http://127.0.0.1:9", retries: 0 }).job("x").getExecution("e").catch((error) => error);
  return {
    status: execution.status, results: execution.results, last: updates.at(-1), ended: ended.map((one) => one.status),
    missing, nobody: nobody instanceof ConnectionFailed, listed: (await job.listExecutions()).length,
  };
};`;

let browser: Browser | undefined;
let stopServer = () => {};
after(async () => {
  await browser?.close();
  stopServer();
});

test("the client works in Chromium, across origins", { skip, timeout: 120_000 }, async () => {
  const bundled = await build({
    stdin: { contents: 'export * from "./dist/index.js"', resolveDir: "." },
    bundle: true,
    format: "esm",
    platform: "browser",
    write: false,
  });
  const files: Record<string, string> = { "/page.js": PAGE, "/client.js": bundled.outputFiles[0]!.text };
  const site = createServer((request, response) => {
    const script = files[request.url ?? ""];
    response.setHeader("Content-Type", script ? "text/javascript" : "text/html");
    response.end(script ?? '<!doctype html><script type="module" src="/page.js"></script>');
  });
  await new Promise<void>((resolve) => site.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  try {
    const { url, stop } = await startServer("--simulate", "--allow-origin", origin, "--api-key", KEY);
    stopServer = stop;
    browser = await chromium.launch({ executablePath: executablePath ?? "chromium" });
    const page = await browser.newPage();
    await page.goto(origin);
    await page.waitForFunction("window.run");
    const seen = await page.evaluate(`window.run(${JSON.stringify(url)}, ${JSON.stringify(KEY)})`);
    assert.deepEqual(seen, {
      status: "completed",
      results: ["ü"],
      last: "completed",
      ended: ["completed", "completed"],
      missing: [true, 404, "string"],
      nobody: true,
      listed: 4,
    });
  } finally {
    site.closeAllConnections();
    site.close();
  }
});
