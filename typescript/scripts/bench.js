/**
 * CPU of a status call beside the same fetch and JSON, with and without a limit in time, in blocks by turns:
 * `node --expose-gc bench.js URL JOB EXECUTION CALLS`, for `make bench`.
 */

import { createJobs } from "../dist/index.js";

const [url, name, execution, calls] = process.argv.slice(2);
const job = createJobs({ url }).job(name);
const address = `${url}/v0/jobs/${name}/executions/${execution}/status`;
const headers = {
  Accept: "application/json, application/problem+json",
  "Jobs-Contract": "1",
  "Blaxel-Version": "2026-09-22",
  "User-Agent": "bench",
};
const fetched = async (init) => (await (await fetch(address, init)).json()).status;
const sides = [
  () => fetched({ headers }),
  () => fetched({ headers, signal: AbortSignal.timeout(60_000) }),
  () => job.getExecutionStatus(execution),
];
/** Each follows each of the others equally often. */
const ORDERS = ["012", "021", "102", "120", "201", "210"];
const BLOCKS = 24;
const taken = [[], [], []];
for (let block = 0; block < BLOCKS; block++) {
  for (const side of ORDERS[block % ORDERS.length]) {
    gc({ type: "minor" }); // what the side before left behind is not for this one to clear away
    const before = process.cpuUsage();
    for (let n = 0; n < Number(calls); n++) await sides[side]();
    const { user, system } = process.cpuUsage(before);
    if (block >= BLOCKS / 6) taken[side].push((user + system) / Number(calls)); // the first ones warm up
  }
}
const [bare, limited, ours] = taken.map((blocks) => blocks.sort((a, b) => a - b)[blocks.length >> 1]);
console.log(JSON.stringify({ bare, limited, ours }));
