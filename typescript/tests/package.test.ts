/** The package: how large it is, and what it needs. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { build, type Plugin } from "esbuild";

interface Locked {
  optionalDependencies?: Record<string, string>;
}

/** What is loaded when it is first needed stays outside. */
const lazy: Plugin = {
  name: "lazy",
  setup: ({ onResolve }) =>
    onResolve({ filter: /./ }, ({ kind, path }) => (kind === "dynamic-import" ? { path, external: true } : undefined)),
};

async function bundled(contents: string, plugins: Plugin[] = []): Promise<Uint8Array> {
  const stdin = { contents, resolveDir: "." };
  const options = { bundle: true, minify: true, format: "esm", platform: "browser", target: "es2022", write: false } as const;
  return (await build({ ...options, stdin, plugins })).outputFiles[0]!.contents;
}

test("the client alone is at most 6 KB gzipped, and all of it, in one file, twice that", async () => {
  const client = 'export { blJob } from "./dist/index.js"';
  assert.ok(gzipSync(await bundled(client, [lazy]), { level: 9 }).length <= 6 * 1024);
  assert.ok(gzipSync(await bundled(client), { level: 9 }).length <= 12 * 1024);
});

test("what is not used is shaken off", async () => {
  const shaken = await bundled('export { PermanentError } from "./dist/index.js"');
  assert.ok(shaken.length < 300, `${shaken.length} bytes`);
});

test("nothing is needed at run time", () => {
  const manifest = JSON.parse(readFileSync("package.json", "utf8"));
  assert.deepEqual(Object.keys(manifest.dependencies ?? {}), []);
  assert.equal(readFileSync("LICENSE", "utf8"), readFileSync("../LICENSE", "utf8"));
  assert.match(readFileSync("../pyproject.toml", "utf8"), new RegExp(`^version = "${manifest.version}"$`, "m"));
  assert.ok(readFileSync("dist/transport.js", "utf8").includes(`"${manifest.version}"`));
  assert.doesNotMatch(readFileSync("package-lock.json", "utf8"), /"resolved"/);
});

test("the lock has what every platform needs", () => {
  const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8")) as { packages: Record<string, Locked> };
  const missing = Object.entries(packages).flatMap(([place, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => !packages[`${place}/node_modules/${name}`] && !packages[`node_modules/${name}`],
    ),
  );
  assert.deepEqual(missing, []);
});

test("a skip that is in no list is told", () => {
  const folder = mkdtempSync(join(tmpdir(), "blaxel-jobs-"));
  const file = join(folder, "some.test.mjs");
  writeFileSync(
    file,
    `import { describe, test } from "node:test";
    test("runs", () => {});
    test("not here", { skip: "no reason" }, () => {});
    describe("inner", () => test("not now", { todo: true }, () => {}));`,
  );
  const env = { ...process.env };
  delete env.NODE_TEST_CONTEXT; // it is no part of this run
  const done = spawnSync(process.execPath, ["--test", "--test-reporter=./scripts/skips.js", file], { encoding: "utf8", env });
  assert.deepEqual([done.status, done.stderr], [0, ""]);
  assert.deepEqual(done.stdout.match(/(?<=::).+/g), ["not here", "not now"]);
  rmSync(folder, { recursive: true });
});
