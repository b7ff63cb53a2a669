/** A reporter of node:test: one line for each skipped or postponed test that tests/allowed_skips.txt of the repository does not name. */

import { readFileSync } from "node:fs";
import { basename } from "node:path";

const allowed = readFileSync(new URL("../../tests/allowed_skips.txt", import.meta.url), "utf8")
  .split("\n")
  .map((line) => line.replace(/#.*/, "").trim())
  .filter(Boolean);

const isAllowed = (id) => allowed.some((line) => (line.endsWith("*") ? id.startsWith(line.slice(0, -1)) : id === line));

export default async function* skips(events) {
  for await (const { type, data } of events) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    if (data.skip === undefined && data.todo === undefined) continue;
    const id = `typescript/tests/${basename(data.file ?? "").replace(/js$/, "ts")}::${data.name}`;
    if (!isAllowed(id)) yield `${id}\n`;
  }
}
