/** vitest with our global set-up, in a project as its users have it. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";

const CONFIG = 'export default { test: { globalSetup: ["blaxel-jobs/testing"] } };';

const SUITE = `import { appendFileSync } from "node:fs";
import { blJob } from "blaxel-jobs";
import { expect, inject, test } from "vitest";

test("an hour is over in no time", async () => {
  const job = blJob("NAME");
  const id = await job.createExecution({ tasks: [{ duration: 3600 }] });
  expect((await job.waitForExecution(id, { maxWait: 7_200_000 })).status).toBe("completed");
  expect(inject("jobsMockUrl")).toBe(process.env.BL_API_URL);
  appendFileSync("urls.txt", process.env.BL_API_URL + "\\n");
});`;

test("all tests of vitest share one mock, which ends with them", async () => {
  mkdirSync("build/projects", { recursive: true });
  const project = mkdtempSync(resolve("build/projects/vitest-"));
  mkdirSync(join(project, "node_modules"));
  symlinkSync(process.cwd(), join(project, "node_modules", "blaxel-jobs"), "dir");
  writeFileSync(join(project, "package.json"), '{ "type": "module" }');
  writeFileSync(join(project, "vitest.config.ts"), CONFIG);
  for (const name of ["one", "two"]) writeFileSync(join(project, `${name}.test.js`), SUITE.replace("NAME", name));

  const vitest = [resolve("node_modules/vitest/vitest.mjs"), "run", "--no-cache"];
  const env = { ...process.env, BL_API_URL: "http://127.0.0.1:9", NO_COLOR: "1" };
  const done = spawnSync(process.execPath, vitest, { cwd: project, encoding: "utf8", env, timeout: 100_000 });
  assert.equal(done.status, 0, done.stdout + done.stderr);
  assert.match(done.stdout, /Tests +2 passed/);

  const urls = readFileSync(join(project, "urls.txt"), "utf8").trim().split("\n");
  assert.equal(urls.length, 2);
  assert.equal(urls[0], urls[1]);
  await assert.rejects(fetch(`${urls[0]}/__mock__/health`), "the mock is gone");
  rmSync(project, { recursive: true });
});
