/** Whether the server answers, as all calls of a worker see it together. */

import { ConnectionFailed, RequestError } from "../errors.js";

export type Say = (level: "info" | "warning" | "error", message: string) => void;

const FIRST_PAUSE = 100;
/** Milliseconds between two tries while the server does not answer. */
export const LONGEST_PAUSE = 5000;

/** The same call may be taken later: the server is out of reach, or says itself that it cannot do anything now. */
export function isPassing(error: unknown): boolean {
  if (error instanceof RequestError) return [408, 429, 502, 503, 504].includes(error.status);
  return error instanceof ConnectionFailed;
}

/** Says once that the server does not answer, and once that it does again. */
export class Link {
  readonly #url: string;
  readonly #say: Say;
  #downSince: number | undefined;
  /** How often it has stopped to answer. Who answers after that may be another server, with nothing in memory of us. */
  breaks = 0;

  constructor(url: string, say: Say) {
    this.#url = url;
    this.#say = say;
  }

  get isDown(): boolean {
    return this.#downSince !== undefined;
  }

  /** A call ended in an error that passes, or that only the server's side can mend. */
  failed(error: unknown): void {
    if (this.isDown) return;
    this.#downSince = performance.now();
    this.breaks += 1;
    this.#say("warning", `waiting for the server at ${this.#url}: ${(error as Error).message}`);
  }

  /** A call was answered. */
  answered(): void {
    if (this.#downSince === undefined) return;
    const seconds = (performance.now() - this.#downSince) / 1000;
    this.#downSince = undefined;
    this.#say("warning", `the server at ${this.#url} answers again, after ${seconds.toFixed(1)} s`);
  }
}

/** How long to wait before each next try: twice as long each time, not the same for everybody, not less than the server asked for. */
export function pauses(): (error: unknown) => number {
  let next = FIRST_PAUSE;
  return (error) => {
    const pause = next * (0.5 + Math.random() / 2);
    next = Math.min(2 * next, LONGEST_PAUSE);
    const asked = error instanceof RequestError ? (error.retryAfter ?? 0) : 0;
    return Math.max(pause, Math.min(asked, LONGEST_PAUSE));
  };
}
