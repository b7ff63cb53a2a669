/** Heartbeats, from a thread of their own: a handler that blocks the event loop must not lose the leases of all. */

import type { Resolved } from "../settings.js";
import type { Connection } from "../transport.js";
import { beat, type LeaseRef, type Leases } from "./leases.js";

/** What one heartbeat brought. */
export interface Beat {
  lost: LeaseRef[];
  stop: LeaseRef[];
  error?: string;
}

/** What the thread is told: what to hold, or that it is held no longer. */
export interface Word {
  hold?: LeaseRef;
  drop?: LeaseRef;
  /** Milliseconds. */
  every?: number;
  timeout?: number;
}

export interface Start {
  settings: Omit<Resolved, "fetch">;
  worker: string;
  jobs: string[];
}

/** Beats as often as it was told, for what it was told to hold. */
export class Heart {
  readonly #held = new Map<string, LeaseRef>();
  #every = 1000;
  #timeout = 3000;
  #timer: ReturnType<typeof setTimeout> | undefined;

  readonly #connection: Connection;
  readonly #start: Pick<Start, "worker" | "jobs">;
  readonly #told: (found: Beat) => void;

  constructor(connection: Connection, start: Pick<Start, "worker" | "jobs">, told: (found: Beat) => void) {
    this.#connection = connection;
    this.#start = start;
    this.#told = told;
  }

  take(word: Word): void {
    if (word.hold) this.#held.set(keyOf(word.hold), word.hold);
    if (word.drop) this.#held.delete(keyOf(word.drop));
    this.#every = word.every ?? this.#every;
    this.#timeout = word.timeout ?? this.#timeout;
    if (this.#held.size) this.#timer ??= setTimeout(() => this.#beat(), this.#every);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#held.clear();
  }

  async #beat(): Promise<void> {
    const began = performance.now();
    const leases = [...this.#held.values()];
    if (leases.length) {
      try {
        this.#told(await beat(this.#connection, this.#start.worker, this.#start.jobs, leases, this.#timeout));
      } catch (error) {
        this.#told({ lost: [], stop: [], error: (error as Error).message });
      }
    }
    this.#timer = undefined;
    if (this.#held.size) this.#timer = setTimeout(() => this.#beat(), Math.max(0, began + this.#every - performance.now()));
  }
}

export function keyOf({ task, token }: LeaseRef): string {
  return `${task}:${token}`;
}

/** Where the heart beats: in a thread, or here where there are no threads, or `fetch` was replaced. */
export interface Pulse {
  tell(word: Word): void;
  stop(): void;
}

/** `told` is called with what each heartbeat brought. */
export async function startPulse(leases: Leases, jobs: string[], told: (found: Beat) => void): Promise<Pulse> {
  const { fetch, ...settings } = leases.connection.settings;
  const start: Start = { settings, worker: leases.worker, jobs };
  const here = () => {
    const heart = new Heart(leases.connection, start, told);
    return { tell: (word: Word) => heart.take(word), stop: () => heart.stop() };
  };
  if (fetch) return here();
  try {
    const { Worker } = await import("node:worker_threads");
    const thread = new Worker(new URL("./heartbeat-thread.js", import.meta.url), { workerData: start });
    const ready = new Promise<void>((resolve, reject) => {
      thread.once("message", () => resolve());
      thread.once("error", reject);
    });
    await ready;
    thread.on("message", told);
    thread.unref();
    return { tell: (word) => thread.postMessage(word), stop: () => void thread.terminate() };
  } catch {
    return here(); // bundled into one file, or without threads
  }
}
