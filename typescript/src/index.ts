/**
 * Durable job executions: the client, and definitions of jobs. Workers are in `blaxel-jobs/worker`, help for tests in
 * `blaxel-jobs/testing`.
 */

export type { Batch } from "./control.js";
export { type Defaults, defineJob, type JobDef, type Schema } from "./define.js";
export * from "./errors.js";
export { Execution, type LogLine } from "./execution.js";
export * from "./handling.js";
export { type BatchOf, blJob, createJobs, Job, Jobs, type NewExecution } from "./jobs.js";
export type { CreateJobExecutionRequest, CreateOptions, RetryPolicy, Schemas } from "./options.js";
export type { Page } from "./paging.js";
export { configure, type Settings } from "./settings.js";
export { blStartJob } from "./start.js";
export type { Log, Step, StepOptions } from "./step.js";
export type { ListOptions, PageOptions } from "./verbs.js";
export type { WaitOptions } from "./waiting.js";
export type { Update } from "./watch.js";
