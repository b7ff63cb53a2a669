/** `blaxel-jobs serve` in a process of its own, for tests of workers. */

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A server in memory on a free port, with these arguments more. It ends with the tests. */
export async function startServer(...args: string[]): Promise<{ url: string; stop(): void }> {
  const ready = join(mkdtempSync(join(tmpdir(), "blaxel-jobs-")), "ready.json");
  const command = ["serve", "--store", "memory:", "--port", "0", "--ready-file", ready, "--log-level", "error", ...args];
  const child = spawn("../.venv/bin/blaxel-jobs", command, { stdio: ["ignore", "ignore", "inherit"] });
  const stop = () => void child.kill("SIGKILL");
  process.on("exit", stop);
  child.unref();
  const deadline = Date.now() + 60_000;
  while (!existsSync(ready)) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error("the server did not start");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { url: JSON.parse(readFileSync(ready, "utf8")).url, stop };
}

/** What `look` answers, once that is true. */
export async function until<T>(look: () => T | Promise<T>): Promise<T> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`not within a minute: ${look}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
