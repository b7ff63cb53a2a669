/** Leases over HTTP: claims, heartbeats and reports. */

import type { JobDef } from "../define.js";
import { ConfigError, Forbidden, type JobsError, NotFound, RequestError, Unauthorized } from "../errors.js";
import type { Schemas } from "../options.js";
import { isPlatform, type Resolved } from "../settings.js";
import { Connection } from "../transport.js";
import { isPassing, Link, pauses, type Say } from "./link.js";
import { ANSWERED_WITHIN, Outbox, type Report, type ReportAnswer } from "./outbox.js";

export type Lease = Schemas["Lease"];
export type LeaseRef = Schemas["LeaseRef"];

/** Milliseconds that a claim waits at the most; the contract has 30,000. */
const LONGEST_POLL = 25_000;
/** Milliseconds that a claim has for its answer before it can be interrupted. What is ready is leased at once, so a claim that takes
 * longer only waits; one that is cut short earlier may have been given tasks, of which nobody would know until their leases end. */
const SETTLE = 250;

/** What becomes known while claiming. */
export interface Listener {
  /** The server has first answered a claim. */
  onReady?: (() => void) | undefined;
  /** What it answers before that instead, and will answer again: a key that it does not take, say. */
  onRefused?: ((error: JobsError) => void) | undefined;
  say: Say;
}

/**
 * The lease protocol. While the server does not answer, claims and reports wait for it. Definitions are registered before the first
 * claim, and again after each time that the server did not answer: it may have started anew with nothing in memory.
 */
export class Leases {
  readonly worker: string;
  readonly connection: Connection;
  /** Milliseconds between two heartbeats; until the server has said how many it wants, nothing is held. */
  heartbeatEvery = 100;
  /** Milliseconds that a lease lasts, and that a durable sleep may last without giving the task up. */
  lease = 10_000;
  readonly #link: Link;
  readonly #outbox: Outbox;
  readonly #listener: Listener;
  readonly #jobs = new Map<string, JobDef>();
  #unregistered = new Set<string>();
  /** How often the server had stopped to answer when the definitions were registered last. */
  #breaks = 0;
  #ready = false;
  #claiming: { sentAt: number; controller: AbortController } | undefined;

  constructor(settings: Resolved, worker: string, listener: Listener) {
    if (isPlatform(settings.url)) {
      throw new ConfigError(`${settings.url} is the Blaxel platform, which has no work for workers: name a server of yours`);
    }
    this.worker = worker;
    this.connection = new Connection(settings);
    this.#link = new Link(settings.url, listener.say);
    this.#outbox = new Outbox(this.connection, this.#link);
    this.#listener = listener;
  }

  /** Make jobs known that this worker serves, with the next claim. Throws ConfigError when a name has another definition. */
  register(jobs: JobDef[]): void {
    for (const job of jobs) {
      if ((this.#jobs.get(job.name) ?? job) !== job)
        throw new ConfigError(`the job '${job.name}' has another definition in this worker`);
      if (!this.#jobs.has(job.name)) this.#unregistered.add(job.name);
      this.#jobs.set(job.name, job);
    }
  }

  /** Called once, before the first claim: register the definitions. A server that does not answer is waited for by the claims.
   * Throws Unauthorized and Forbidden for a key that the server does not take, ConfigError for a server of another kind. */
  async open(): Promise<void> {
    try {
      await this.#define();
    } catch (error) {
      if (!isPassing(error)) throw this.#saidClearly(error);
      this.#link.failed(error);
    }
  }

  /** Up to `limit` tasks; waits up to `wait` ms for the first, and for the server if it does not answer. None after `interrupt`. */
  async claim(jobs: string[], limit: number, wait = LONGEST_POLL): Promise<Lease[]> {
    const after = pauses();
    const controller = new AbortController();
    const { signal } = controller;
    this.#claiming = { sentAt: 0, controller };
    try {
      while (!signal.aborted) {
        try {
          if (this.#unregistered.size || this.#link.breaks !== this.#breaks) await this.#define();
          return await this.#claimOnce(jobs, limit, wait, signal);
        } catch (error) {
          if (signal.aborted) break;
          this.#link.failed(error);
          if (!this.#ready && !isPassing(error)) this.#listener.onRefused?.(this.#saidClearly(error));
          await this.connection.sleep(after(error), signal).catch(() => {});
        }
      }
      return [];
    } finally {
      this.#claiming = undefined;
    }
  }

  /** Tell the server, together with what others tell at the same moment; waits for a server that does not answer. Throws LeaseLost,
   * the RequestError that it is refused with, ContractError for an answer that cannot be read, and ConnectionFailed once closed.
   * `doubtful`: after such an answer it is made again. */
  report(report: Report, doubtful = false): Promise<ReportAnswer> {
    return this.#outbox.post(report, doubtful);
  }

  /** Whether a heartbeat was answered, as who beats knows. */
  heard(error?: unknown): void {
    if (error) this.#link.failed(error);
    else this.#link.answered();
  }

  /** End a claim that waits; one that has just begun ends within a quarter of a second. */
  interrupt(): void {
    const claiming = this.#claiming;
    if (!claiming) return;
    const left = claiming.sentAt + SETTLE - performance.now();
    setTimeout(() => claiming.controller.abort(), Math.max(left, 0));
  }

  /** Called once, after the last report. */
  close(): void {
    this.#outbox.close();
  }

  async #claimOnce(jobs: string[], limit: number, wait: number, signal: AbortSignal): Promise<Lease[]> {
    // The first one waits for nothing: its answer says how often to beat, which must be known before there is a lease.
    // No other waits as long as a lease lasts: a worker that is frozen must not get back by its open claim what it has lost.
    const waitMs = this.#ready ? Math.floor(Math.min(wait, LONGEST_POLL, this.lease / 2)) : 0;
    const body = { worker: this.worker, jobs, limit: Math.min(limit, 1000), waitMs };
    this.#claiming!.sentAt = performance.now();
    const timeout = waitMs + ANSWERED_WITHIN;
    const answer = await this.connection.perform("POST /leases/claim leases", {}, { body, timeout, signal });
    this.#link.answered();
    this.lease = answer.leaseMs;
    this.heartbeatEvery = answer.heartbeatMs;
    if (!this.#ready) {
      this.#ready = true;
      this.#listener.onReady?.();
    }
    return answer.leases;
  }

  /** Register what is not registered, or all if the server may have forgotten. */
  async #define(): Promise<void> {
    const { breaks } = this.#link;
    if (breaks !== this.#breaks) this.#unregistered = new Set(this.#jobs.keys());
    for (const job of [...this.#unregistered]) {
      const body = this.#jobs.get(job)!.definition();
      await this.connection.perform("PUT /jobs/{job} metadata", { job }, { body, timeout: ANSWERED_WITHIN });
      this.#unregistered.delete(job);
    }
    this.#breaks = breaks;
  }

  /** What keeps a worker from working at this server, and what to do about it. */
  #saidClearly(error: unknown): JobsError {
    let why = "refuses this worker";
    if (error instanceof Unauthorized) why = "does not take this worker's key: BL_API_KEY or apiKey gives another";
    else if (error instanceof Forbidden) why = "does not let this key do a worker's work: it needs one with the scope `worker`";
    else if (error instanceof NotFound) why = "is none that has work for workers, or its URL is another";
    const message = `the server at ${this.connection.settings.url} ${why} (${(error as Error).message})`;
    if (error instanceof RequestError) return new (error.constructor as typeof RequestError)(message, { ...error });
    return new ConfigError(message, { cause: error });
  }
}

/** Hold leases for another while: which are lost, and which of the others are to stop. */
export async function beat(connection: Connection, worker: string, jobs: string[], leases: LeaseRef[], timeout: number) {
  return connection.perform("POST /leases/heartbeat lost", {}, { body: { worker, jobs, leases }, timeout });
}
