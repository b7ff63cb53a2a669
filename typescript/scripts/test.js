/** Compiles the tests and runs them: `node scripts/test.js [FILE...]`. */

import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { build } from "esbuild";

const named = process.argv.slice(2);
const all = readdirSync("tests").filter((name) => name.endsWith(".ts"));
rmSync("build", { recursive: true, force: true });
await build({
  entryPoints: all.map((name) => `tests/${name}`),
  outdir: "build",
  format: "esm",
  target: "node20",
  sourcemap: "inline",
  logLevel: "warning",
});
const chosen = all.filter((name) => name.endsWith(".test.ts") && (!named.length || named.some((part) => name.includes(part))));
const files = chosen.map((name) => `build/${name.replace(/ts$/, "js")}`);
const { status } = spawnSync(process.execPath, ["--enable-source-maps", "--test", "--test-timeout=120000", ...files], {
  stdio: "inherit",
});
process.exit(status ?? 1);
