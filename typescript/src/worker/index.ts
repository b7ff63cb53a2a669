/** Workers: they run the handlers of jobs for a server, from any machine. */

export type { Say } from "./link.js";
export { createWorker, Worker, type WorkerOptions } from "./worker.js";
