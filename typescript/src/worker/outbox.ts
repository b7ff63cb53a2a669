/** Reports on their way: what is told while a request is under way goes out together with the next one. */

import { ConnectionFailed, ContractError, LeaseLost, RequestError } from "../errors.js";
import type { Schemas } from "../options.js";
import { errorClass } from "../refusals.js";
import type { Connection } from "../transport.js";
import { isPassing, type Link, pauses } from "./link.js";

export type Report = Schemas["LeaseReport"];
export type ReportAnswer = Schemas["ReportAnswer"];

/** Of one request. A single report may have more: the server takes twice as much. */
const MOST_BYTES = 1024 * 1024;
const MOST_REPORTS = 1000;
/** Milliseconds that an answer may take. */
export const ANSWERED_WITHIN = 10_000;

const bytes = new TextEncoder();

/** One report, and where its answer goes. */
interface Letter {
  report: Report;
  text: string;
  size: number;
  /** It was sent, and no answer came that can be read: it may have been taken. */
  doubtful: boolean;
  resolve(answer: ReportAnswer): void;
  reject(error: unknown): void;
}

/** Sends reports, one request at a time, in the order in which they were made. Waits for a server that does not answer. */
export class Outbox {
  readonly #connection: Connection;
  readonly #link: Link;
  readonly #closing = new AbortController();
  #waiting: Letter[] = [];
  #sending = false;

  constructor(connection: Connection, link: Link) {
    this.#connection = connection;
    this.#link = link;
  }

  /** Throws LeaseLost, the RequestError that it is refused with, ContractError for an answer that cannot be read, and
   * ConnectionFailed once closed. `doubtful`: after such an answer it is made again. */
  post(report: Report, doubtful = false): Promise<ReportAnswer> {
    if (this.#closing.signal.aborted || (this.#link.isDown && !isPatient(report))) {
      return Promise.reject(new ConnectionFailed("there is no server to report to"));
    }
    const text = encoded(report, doubtful);
    const size = text.length * 3 < MOST_BYTES / 4 ? text.length * 3 : bytes.encode(text).length;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ report, text, size, doubtful, resolve, reject });
      if (!this.#sending) this.#send();
    });
  }

  /** Send nothing more: what has no answer yet gets ConnectionFailed. */
  close(): void {
    this.#closing.abort();
    this.#giveUp(new ConnectionFailed("the worker is closed"), () => true);
  }

  async #send(): Promise<void> {
    this.#sending = true;
    await undefined; // what is told in the same breath goes out together
    for (let batch = this.#next(); batch.length; batch = this.#next()) await this.#deliver(batch);
    this.#sending = false;
  }

  /** What goes into one request. */
  #next(): Letter[] {
    let size = 0;
    let count = 0;
    for (const letter of this.#waiting) {
      size += letter.size;
      if (count === MOST_REPORTS || (count && size > MOST_BYTES)) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  /** Send these until they are answered, and hand the answers over. */
  async #deliver(batch: Letter[]): Promise<void> {
    const after = pauses();
    let left = batch;
    while (left.length) {
      try {
        const answers = await this.#once(left);
        this.#link.answered();
        for (const [index, letter] of left.entries()) settle(letter, answers[index]!);
        return;
      } catch (error) {
        if (!isPassing(error)) {
          await this.#refused(left, error);
          return;
        }
        this.#link.failed(error);
        if (!(error instanceof ConnectionFailed) || error.sent) left.forEach(doubt);
        this.#giveUp(error, (letter) => !isPatient(letter.report));
        for (const letter of left) if (!isPatient(letter.report)) letter.reject(error);
        left = left.filter((letter) => isPatient(letter.report));
        if (left.length) await this.#connection.sleep(after(error), this.#closing.signal).catch(() => {});
        if (this.#closing.signal.aborted) {
          for (const letter of left) letter.reject(error);
          return;
        }
      }
    }
  }

  async #once(batch: Letter[]): Promise<ReportAnswer[]> {
    const text = `{"reports":[${batch.map((letter) => letter.text).join(",")}]}`;
    const { answers } = await this.#connection.perform("POST /leases/report answers", {}, { text, timeout: ANSWERED_WITHIN });
    if (
      !Array.isArray(answers) ||
      answers.length !== batch.length ||
      answers.some((answer) => typeof answer !== "object" || !answer)
    ) {
      throw new ContractError(`the answer to ${batch.length} reports is not that of the contract`);
    }
    return answers;
  }

  /** One of them is to blame: each goes alone, so that it is only that one's error. */
  async #refused(batch: Letter[], error: unknown): Promise<void> {
    if (batch.length === 1) batch[0]!.reject(error);
    else {
      if (error instanceof ContractError) batch.forEach(doubt);
      for (const letter of batch) await this.#deliver([letter]);
    }
  }

  #giveUp(error: unknown, which: (letter: Letter) => boolean): void {
    for (const letter of this.#waiting) if (which(letter)) letter.reject(error);
    this.#waiting = this.#waiting.filter((letter) => !which(letter));
  }
}

/** It is worth waiting for a server. A task that is given back comes back by itself when its lease runs out. */
function isPatient(report: Report): boolean {
  return report.type !== "released";
}

/** Lines of a log say which they are only where they may be there already. */
function encoded(report: Report, doubtful: boolean): string {
  return JSON.stringify(report.type === "noted" && !doubtful ? { ...report, linesBefore: undefined } : report);
}

function doubt(letter: Letter): void {
  letter.doubtful = true;
  letter.text = encoded(letter.report, true);
}

function settle(letter: Letter, answer: ReportAnswer): void {
  const error = answer.error === undefined ? undefined : errorOf(answer);
  const instead = letter.doubtful && error instanceof LeaseLost ? ENDED[letter.report.type] : undefined;
  if (error && !instead) letter.reject(error);
  else letter.resolve(instead ?? answer);
}

/**
 * A lease that is gone after the reply to the report that ends it was lost has ended by that report: also a failure's, when the
 * task is tried again by then. A result that was taken is answered as such.
 */
const ENDED: Record<string, ReportAnswer> = {
  failed: {},
  released: {},
  crashed: {},
  slept: { suspended: true },
  awaited: { suspended: true },
};

const STATUSES: Record<string, number> = {
  lease_lost: 409,
  invalid_request: 422,
  too_large: 413,
  not_found: 404,
  forbidden: 403,
  malformed_request: 400,
  unavailable: 503,
  store_busy: 503,
  internal_error: 500,
};

function errorOf({ error, message }: ReportAnswer): RequestError {
  const status = STATUSES[error!];
  return status ? new (errorClass(status, error))(message ?? error!, { status }) : new RequestError(message ?? error!);
}
