/**
 * For tests: starts the mock server (`python -m mock_server`, of the Python package with the extra `mock`) and hands over its URL.
 *
 * vitest: `globalSetup: ["blaxel-jobs/testing"]`; tests find it by BL_API_URL, so that a plain `blJob("x")` reaches the mock, and by
 * `inject("jobsMockUrl")`. node:test of Node 24: `--test-global-setup` with a module that has `export * from "blaxel-jobs/testing"`;
 * before that `const mock = await startMock()` in a `before` hook.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface MockOptions {
  /** The interpreter that has the mock: BLAXEL_JOBS_PYTHON, else `.venv/bin/python` in this folder or one above, else python3. */
  python?: string | undefined;
  /** `virtual` (waiting takes no time), `real`, or such as `scale:60`. */
  clock?: string | undefined;
  /** More arguments of `python -m mock_server`. */
  args?: string[] | undefined;
  /** Milliseconds that it may take to start. 60,000 unless given. */
  timeout?: number | undefined;
}

/** A mock server in a process of its own. */
export interface Mock {
  readonly url: string;
  /** End it, and wait for its end. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Start a mock server on a free port. Throws an Error that has what the process wrote when it does not start. */
export async function startMock(options: MockOptions = {}): Promise<Mock> {
  const { python = findPython(), clock = "virtual", args = [], timeout = 60_000 } = options;
  const folder = mkdtempSync(join(tmpdir(), "blaxel-jobs-"));
  const ready = join(folder, "ready.json");
  const command = ["-m", "mock_server", "--port", "0", "--clock", clock, "--ready-file", ready, ...args];
  const child = spawn(python, command, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (piece) => {
    said += piece;
  });
  const stop = async () => {
    process.off("exit", kill);
    await ended(child);
    rmSync(folder, { recursive: true, force: true });
  };
  const kill = () => child.kill("SIGKILL");
  process.on("exit", kill);
  try {
    return { url: await urlOf(child, ready, Date.now() + timeout), stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw new Error(`${python} -m mock_server did not start: ${(error as Error).message}\n${said}`);
  }
}

async function urlOf(child: ChildProcess, ready: string, deadline: number): Promise<string> {
  let failed: Error | undefined;
  child.on("error", (error) => {
    failed = error;
  });
  while (!existsSync(ready)) {
    if (failed) throw failed;
    if (child.exitCode !== null) throw new Error(`it exited with ${child.exitCode}`);
    if (Date.now() > deadline) throw new Error("it took too long");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return JSON.parse(readFileSync(ready, "utf8")).url;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const over = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
  await over;
  clearTimeout(timer);
}

function findPython(): string {
  if (process.env.BLAXEL_JOBS_PYTHON) return process.env.BLAXEL_JOBS_PYTHON;
  for (let folder = process.cwd(); ; folder = join(folder, "..")) {
    const python = join(folder, ".venv", "bin", "python");
    if (existsSync(python)) return python;
    if (folder === join(folder, "..")) return "python3";
  }
}

let shared: Mock | undefined;

/** Start one mock for all tests, and set BL_API_URL to its URL. `project` is what vitest gives. */
export async function globalSetup(project?: { provide?: (key: never, value: never) => void }): Promise<() => Promise<void>> {
  shared ??= await startMock();
  process.env.BL_API_URL = shared.url;
  project?.provide?.("jobsMockUrl" as never, shared.url as never);
  return globalTeardown;
}

/** End it. */
export async function globalTeardown(): Promise<void> {
  const mock = shared;
  shared = undefined;
  delete process.env.BL_API_URL;
  await mock?.stop();
}

export default globalSetup;
