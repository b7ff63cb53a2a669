/** The runner in a container: one process that runs one task of an execution, as the Blaxel platform starts it. */

import { ConfigError, ContractError } from "./errors.js";
import { environment } from "./settings.js";

interface Process {
  argv: string[];
  exit(code: number): never;
}

/**
 * Call `func` with the fields of the task that this process was started for, then end the process: exit code 0, or 1 when it threw.
 *
 * They come from the URL in BL_EXECUTION_DATA_URL, which answers `{"tasks": [...]}`; the variable that BL_TASK_KEY names (TASK_INDEX
 * unless set) says which of them is this one's. Without that URL they come from the command line, as `--name value`.
 */
export function blStartJob(func: (payload: any) => unknown): void {
  const { exit } = (globalThis as unknown as { process: Process }).process;
  fields()
    .then(func)
    .then(
      () => exit(0),
      (error: unknown) => {
        console.error("the job failed:", error);
        exit(1);
      },
    );
}

async function fields(): Promise<Record<string, unknown>> {
  const env = environment();
  const url = env.BL_EXECUTION_DATA_URL;
  if (!url) return fromCommandLine((globalThis as unknown as { process: Process }).process.argv.slice(2));
  const key = env.BL_TASK_KEY || "TASK_INDEX";
  const text = env[key] || "0";
  if (!/^\d+$/.test(text)) throw new ConfigError(`${key} is a whole number, not '${text}'`);
  const { tasks } = (await fetched(url)) as { tasks?: unknown };
  if (tasks != null && !Array.isArray(tasks)) throw new ContractError("the answer of BL_EXECUTION_DATA_URL has no list of tasks");
  if (!tasks?.length) return {};
  const task = tasks[Number(text)];
  if (typeof task !== "object" || !task)
    throw new ConfigError(`${key} is ${text}, and there are ${tasks.length} tasks, counted from 0`);
  return task;
}

/** What the URL answers; asked four times at the most. */
async function fetched(url: string): Promise<unknown> {
  for (let tries = 1; ; tries++) {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(60_000) });
      if (response.ok) return await response.json();
      const passing = response.status >= 500 || response.status === 429 || response.status === 408;
      if (!passing || tries > 3) throw new ContractError(`HTTP ${response.status} instead of the task's data`);
    } catch (error) {
      if (error instanceof ContractError || tries > 3) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** tries * Math.random()));
  }
}

/** `--name value` and `--name=value`; a name without a value is "true". All values are text. */
function fromCommandLine(words: string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (let index = 0; index < words.length; index++) {
    const [, name, value] = /^--([^=]+)(?:=(.*))?$/s.exec(words[index]!) ?? [];
    if (!name) continue;
    const following = words[index + 1];
    if (value !== undefined) found[name] = value;
    else if (following !== undefined && !following.startsWith("--")) {
      found[name] = following;
      index++;
    } else found[name] = "true";
  }
  return found;
}
