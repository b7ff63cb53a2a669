/** Compiles the tests and runs them: `node scripts/test.js [FILE...]`. In CI a skip that is in no list is a failure. */

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync } from "node:fs";
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
const SKIPS = "build/skips.txt";
const reporters = [
  ...["--test-reporter=spec", "--test-reporter-destination=stdout"],
  ...["--test-reporter=./scripts/skips.js", `--test-reporter-destination=${SKIPS}`],
];
const { status } = spawnSync(
  process.execPath,
  ["--enable-source-maps", "--test", "--test-timeout=120000", ...reporters, ...files],
  {
    stdio: "inherit",
  },
);
const skipped = readFileSync(SKIPS, "utf8");
if (skipped) console.error(`skipped, but not in tests/allowed_skips.txt:\n${skipped}`);
process.exit((status ?? 1) || (skipped && process.env.CI ? 1 : 0));
