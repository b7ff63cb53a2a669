/** A worker in a process of its own: `node worker.js URL READY_FILE [GRACE_MS]`. What it does it writes down in the working folder, in
 * notes.log, and waits there for a file called gate. */

import { appendFileSync, existsSync, renameSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { defineJob } from "blaxel-jobs";
import { createWorker } from "blaxel-jobs/worker";

const [url, readyFile, grace = "10000", slots = "8"] = process.argv.slice(2);
const note = (line) => appendFileSync("notes.log", `${line}\n`);

/** Until there is the gate, or the task is to end. */
async function throughTheGate(signal) {
  while (!existsSync("gate")) await sleep(10, undefined, { signal });
}

const twoSteps = defineJob({
  name: "two-steps",
  run: async (step, payload) => {
    try {
      const number = await step.run("first", () => {
        note(`first ${step.attempt}`);
        return payload.n + 1;
      });
      const second = await step.run("second", async (signal) => {
        note(`second ${step.attempt}`);
        await throughTheGate(signal);
        return "done";
      });
      return [number, second];
    } catch (stopped) {
      note(`stopped by ${stopped.name}`);
      throw stopped;
    }
  },
});

const blocking = defineJob({
  name: "blocking",
  run: (step, payload) => {
    note(`blocking ${step.attempt}`);
    const end = Date.now() + payload.seconds * 1000;
    while (Date.now() < end);
    return "held";
  },
});

const noOp = defineJob({ name: "no-op", run: (_, payload) => payload });
const who = defineJob({
  name: "who",
  run: async (step) => {
    note("node works");
    await throughTheGate(step.signal);
    return "node";
  },
});

const worker = createWorker({
  url,
  jobs: [twoSteps, blocking, noOp, who],
  grace: Number(grace),
  slots: Number(slots),
  name: "node",
  onReady: () => {
    writeFileSync(`${readyFile}.draft`, JSON.stringify({ worker: worker.id }));
    renameSync(`${readyFile}.draft`, readyFile);
  },
});
await worker.run();
