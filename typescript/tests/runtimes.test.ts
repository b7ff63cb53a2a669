/** The built client in Deno and Bun, from the packages of npm that bring them: nothing of the machine's own. */

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Mock, startMock } from "blaxel-jobs/testing";

/** Where npm puts the programs of each platform, of which it installs those that this machine can run, and how they run a script. */
const RUNTIMES = {
  deno: { scope: "@deno", program: "deno", args: ["run", "--no-prompt", "--no-config", "--allow-env", "--allow-net=127.0.0.1"] },
  bun: { scope: "@oven", program: "bin/bun", args: ["run"] },
};

let mock: Mock;
const home = mkdtempSync(join(tmpdir(), "blaxel-jobs-"));
before(async () => {
  mock = await startMock();
});
after(async () => {
  await mock.stop();
  rmSync(home, { recursive: true, force: true });
});

/** Fails where there is none: a runtime that is not tested is not supported. */
function find({ scope, program }: { scope: string; program: string }): string {
  const folder = join("node_modules", scope);
  const found = readdirSync(folder)
    .map((platform) => join(folder, platform, program))
    .find((path) => spawnSync(path, ["--version"]).status === 0);
  assert.ok(found, `npm has installed no ${program} that runs here`);
  return found;
}

for (const [name, runtime] of Object.entries(RUNTIMES)) {
  test(`the client works in ${name}`, async () => {
    const { status, said, told } = await run(find(runtime), [...runtime.args, "tests/roundtrip.js"]);
    assert.equal(status, 0, said);
    assert.deepEqual(JSON.parse(told), {
      runtime: name,
      status: "completed",
      results: [null, { text: "\u20ac" }],
      failed: "failed",
      listed: true,
      refused: true,
    });
  });
}

/** Only what a program needs: it reaches nobody but the mock, and asks for no newer version of itself. */
async function run(program: string, args: string[]) {
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    DENO_DIR: home,
    DENO_NO_UPDATE_CHECK: "1",
    DO_NOT_TRACK: "1",
    BL_API_URL: mock.url,
  };
  const child = spawn(program, args, { env, timeout: 60_000 });
  let said = "";
  let told = "";
  child.stderr.on("data", (piece) => {
    said += piece;
  });
  child.stdout.on("data", (piece) => {
    told += piece;
  });
  const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { status, said, told };
}
