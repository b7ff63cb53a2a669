/** A handler's hold on its task: its reports go out here, and what ends the hold reaches the handler here. */

import { ConnectionFailed, ContractError, LeaseLost, Unavailable } from "../errors.js";
import { Suspended } from "../handling.js";
import type { Lease, Leases } from "./leases.js";
import { LONGEST_PAUSE, type Say } from "./link.js";
import { Notes } from "./notes.js";
import type { Report, ReportAnswer } from "./outbox.js";

/** Why a handler is to unwind: its execution is paused; it waits without a worker; its lease is lost; its worker stops, or its time
 * is up. */
export type End = "stopped" | "suspended" | "lost" | "over";

const WHY: Record<End, string> = {
  stopped: "its execution is paused",
  suspended: "it waits without a worker, and goes on when that is over",
  lost: "its lease is lost: it was cancelled, or another worker has it",
  over: "its worker stops, or its execution's time is up",
};

/** A report without the lease that it is made under. */
export type Told = Report extends infer R ? (R extends Report ? Omit<R, "task" | "token"> : never) : never;

/** One lease, while its handler runs. */
export class Hold {
  readonly lease: Lease;
  readonly controller = new AbortController();
  readonly inPlace: number;
  end: End | undefined;
  /** The handler was told of the end: what it returns after that is not its outcome. */
  told = false;
  /** The handler has ended. */
  left = false;
  /** Called once, when the lease is held no longer. */
  onGone: (end: End) => void = () => {};
  readonly notes: Notes;
  readonly #leases: Leases;
  readonly #say: Say;
  readonly #pauses = new Map<() => void, boolean>();

  constructor(lease: Lease, leases: Leases, say: Say) {
    this.lease = lease;
    this.inPlace = leases.lease;
    this.#leases = leases;
    this.#say = say;
    this.notes = new Notes((noted) => this.#note(noted));
  }

  /** Nothing that the handler still does is kept. */
  get gone(): boolean {
    return this.end !== undefined && this.end !== "stopped";
  }

  /** Throw what the handler is to unwind by, if it is: Suspended, or LeaseLost. */
  check(): void {
    if (this.end === undefined) return;
    this.told = true;
    throw this.#why();
  }

  /** The handler is to unwind. It is told at its next verb; what it sleeps through is over at once. */
  finish(end: End): void {
    if (end === this.end || this.gone) return;
    this.end = end;
    const gone = end !== "stopped";
    if (gone) this.onGone(end);
    for (const [over, byStop] of [...this.#pauses]) if (gone || byStop) over();
    if (gone) {
      this.told = true;
      this.controller.abort(this.#why());
    }
  }

  /** The handler has ended. */
  close(): void {
    for (const over of [...this.#pauses.keys()]) over();
  }

  /** Make a report of the handler's. Throws LeaseLost, and Suspended when the answer is that it is to unwind. */
  async tell(told: Told): Promise<ReportAnswer> {
    // A step that has returned is stored, though the handler is to unwind.
    if (this.gone) this.check();
    // What may end the lease goes out after the notes, anything else beside them.
    if (told.type === "slept" || told.type === "awaited") {
      if (this.left) throw new Suspended("its handler has ended"); // left behind: it suspends nothing any more
      await this.notes.flush();
    }
    const answer = await this.#send(told);
    this.check();
    return answer;
  }

  /** Make the last report, after all notes. Throws LeaseLost, and Suspended when the lease has ended meanwhile. */
  async deliver(told: Told): Promise<void> {
    await this.notes.flush();
    await this.#send(told);
  }

  /** Over after so many milliseconds, or when the hold ends, or at `wake`. byStop: false for one that only ends early when the lease
   * is gone. */
  pause(ms: number, byStop = true): Promise<void> {
    return new Promise((resolve) => {
      const over = () => {
        clearTimeout(timer);
        this.#pauses.delete(over);
        resolve();
      };
      const timer = ms < 2 ** 31 ? setTimeout(over, ms) : undefined;
      this.#pauses.set(over, byStop);
      if (this.gone || (byStop && this.end)) over();
    });
  }

  /** Ends all pauses of the handler's. */
  wake(): void {
    for (const [over, byStop] of [...this.#pauses]) if (byStop) over();
  }

  #why(): Error {
    const why = WHY[this.end!];
    return this.end === "lost" ? new LeaseLost(why, { status: 409 }) : new Suspended(why);
  }

  async #note(noted: Told): Promise<void> {
    if (!this.gone) await this.#send(noted).catch(() => {});
  }

  /** Make a report, again and again while the store is out of reach, or what answers is not it: what was worked for is not thrown away, and the lease is kept
   * alive meanwhile. */
  async #send(told: Told): Promise<ReportAnswer> {
    const { task, token, executionId, taskId } = this.lease;
    let doubtful = false;
    let last = false;
    for (let pause = 100; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      try {
        const answer = await this.#leases.report({ task, token, ...told } as Report, doubtful);
        if (answer.suspended) this.finish("suspended");
        else if (answer.stop) this.finish("stopped");
        return answer;
      } catch (error) {
        if (error instanceof LeaseLost) {
          this.finish("lost");
          this.check();
        }
        if (error instanceof ContractError) doubtful = true;
        else if (!(error instanceof Unavailable || error instanceof ConnectionFailed)) throw error;
        this.#say("warning", `report is tried again: execution ${executionId} task ${taskId}: ${error.message}`);
      }
      await this.pause(pause, false);
      if (!this.gone) continue;
      if (last || !doubtful || this.end !== "lost") this.check();
      last = true; // it may be this report that has ended the lease: one more try tells
    }
  }
}
