/**
 * The lease protocol of the TypeScript worker, driven by lines of JSON: tests/remote/node_leases.py asks, so that one suite shows
 * that all implementations of the leases port do the same.
 */

import { createInterface } from "node:readline";
import { resolve } from "../dist/settings.js";
import { beat, Leases } from "../dist/worker/leases.js";

/** By the name that the caller gave them. */
const all = new Map();

const verbs = {
  make: ({ leases, url, worker }) => {
    all.set(leases, { jobs: new Map(), port: new Leases(resolve({ url }), worker, { say: () => {} }) });
  },
  register: ({ leases, jobs }) => {
    const { jobs: known, port } = all.get(leases);
    const definitions = jobs.map(({ key, name, definition }) => {
      if (!known.has(key)) known.set(key, { name, definition: () => definition });
      return known.get(key);
    });
    port.register(definitions);
  },
  open: ({ leases }) => all.get(leases).port.open(),
  claim: async ({ leases, jobs, limit, wait }) => {
    const { port } = all.get(leases);
    const found = await port.claim(jobs, limit, wait);
    return { leases: found, leaseMs: port.lease, heartbeatMs: port.heartbeatEvery };
  },
  report: ({ leases, report }) => all.get(leases).port.report(report),
  heartbeat: ({ leases, refs }) => {
    const { jobs, port } = all.get(leases);
    const names = Array.from(jobs.values(), (job) => job.name);
    return beat(port.connection, port.worker, [...new Set(names)], refs, port.lease / 3);
  },
  interrupt: ({ leases }) => all.get(leases).port.interrupt(),
  close: ({ leases }) => all.get(leases).port.close(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, verb, ...given } = JSON.parse(line);
  const answer = (fields) => process.stdout.write(`${JSON.stringify({ id, ...fields })}\n`);
  Promise.resolve()
    .then(() => verbs[verb](given))
    .then(
      (value) => answer({ value: value ?? null }),
      (error) => answer({ error: error.name, message: error.message }),
    );
}
