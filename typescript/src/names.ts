/** What a job may be called. */

import { invalid } from "./refusals.js";

/** The name itself. Throws InvalidRequest. */
export function checkJobName(name: unknown): string {
  if (typeof name === "string" && /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(name)) return name;
  throw invalid(`${JSON.stringify(name)} is not a job name`, "name");
}
