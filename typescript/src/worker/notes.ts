/** What a handler notes on its way: progress, and lines for its log. Gathered, and sent every now and then. */

import type { Schemas } from "../options.js";
import { checkPlain } from "../plain.js";
import type { Log } from "../step.js";
import type { Told } from "./hold.js";

/** Milliseconds between two reports, at least. */
const EVERY = 200;
/** Milliseconds that a line waits for others, at most. */
const LOG_WITHIN = 1000;
/** Lines of one report. */
const MOST_LINES = 1000;
/** Lines that wait while the store is out of reach. The oldest go first. */
const MOST_KEPT = 10_000;
const MOST_TEXT = 4096;

/** `send` sends one report, and never throws. */
export class Notes {
  readonly #send: (noted: Told) => Promise<void>;
  #progress: Schemas["Progress"] | undefined;
  #lines: Schemas["LogLine"][] = [];
  /** Lines that went out. */
  #told = 0;
  #since = 0;
  #sent = -EVERY;
  #sending: Promise<void> | undefined;
  /** Ends the wait for more lines. */
  #hurry: () => void = () => {};
  #flushing = 0;

  constructor(send: (noted: Told) => Promise<void>) {
    this.#send = send;
  }

  /** Only the last one counts. */
  progress(progress: Schemas["Progress"]): void {
    const first = !this.#progress;
    this.#note(() => {
      this.#progress = progress;
    });
    if (first) this.#hurry();
  }

  readonly log: Log = {
    debug: (message, fields) => this.#log("debug", message, fields),
    info: (message, fields) => this.#log("info", message, fields),
    warning: (message, fields) => this.#log("warning", message, fields),
    error: (message, fields) => this.#log("error", message, fields),
  };

  /** Send what there is at once. */
  async flush(): Promise<void> {
    this.#flushing += 1;
    this.#hurry();
    await this.#sending;
    this.#flushing -= 1;
  }

  #log(level: string, message: unknown, fields?: Record<string, unknown>): void {
    const line = { level, message: text(message), ...(fields && { fields: plain(fields) }) };
    this.#note(() => {
      this.#lines.push(line);
      if (this.#lines.length > MOST_KEPT) this.#lines.shift();
    });
  }

  #note(add: () => void): void {
    if (!this.#progress && !this.#lines.length) this.#since = performance.now();
    add();
    this.#sending ??= this.#sendAll();
  }

  async #sendAll(): Promise<void> {
    while (this.#progress || this.#lines.length) {
      const due = this.#flushing ? 0 : Math.max(this.#sent + EVERY, this.#since + (this.#progress ? 0 : LOG_WITHIN));
      const left = due - performance.now();
      if (left > 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, left);
          this.#hurry = () => {
            clearTimeout(timer);
            resolve();
          };
        });
        this.#hurry = () => {};
        continue;
      }
      const progress = this.#progress;
      const logs = this.#lines.splice(0, MOST_LINES);
      this.#progress = undefined;
      const linesBefore = this.#told;
      this.#told += logs.length;
      await this.#send({ type: "noted", ...(progress && { progress }), ...(logs.length && { logs }), linesBefore });
      this.#sent = performance.now();
    }
    this.#sending = undefined;
  }
}

/** The values, or the texts of those that JSON cannot carry: a log refuses nothing. */
function plain(fields: Record<string, unknown>): Record<string, unknown> {
  const kept = Object.entries(fields).map(([key, value]) => {
    try {
      checkPlain(value);
      return [key, value];
    } catch {
      return [key, text(value)];
    }
  });
  return Object.fromEntries(kept);
}

/** Text that goes on the wire, at most 4 KB of it. */
export function text(value: unknown, most = MOST_TEXT): string {
  try {
    return wellFormed(String(value)).slice(0, most);
  } catch {
    return `<${typeof value}>`;
  }
}

/** Without what is half a character. */
export function wellFormed(value: string): string {
  return (value as { toWellFormed?(): string }).toWellFormed?.() ?? value;
}
