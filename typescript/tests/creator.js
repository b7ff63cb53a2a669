/** Creates an execution with the environment's settings, and prints what came of it: `node creator.js JOB PAYLOAD`. */

import { blJob } from "blaxel-jobs";

const [name, payload] = process.argv.slice(2);
const { id, output } = await blJob(name).triggerAndWait(JSON.parse(payload), { metadata: { from: "node" } });
console.log(JSON.stringify({ id, output }));
