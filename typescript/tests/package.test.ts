/** The package: how large it is, what it needs, and what it runs on. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { build, type Plugin } from "esbuild";

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

for (const [runtime, ...args] of [
  ["deno", "eval"],
  ["bun", "-e"],
] as const) {
  const absent = spawnSync(runtime, ["--version"]).error ? `${runtime} is not installed` : false;
  test(`the client is imported by ${runtime}`, { skip: absent }, () => {
    const code = `import { blJob } from "${process.cwd()}/dist/index.js"; console.log(blJob("x").name)`;
    const done = spawnSync(runtime, [...args, code], { encoding: "utf8" });
    assert.equal(done.stdout.trim(), "x", done.stderr);
  });
}
