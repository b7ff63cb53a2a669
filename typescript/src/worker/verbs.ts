/** The verbs of a handler, from their call until they have ended: what a handler leaves behind is named, not lost. */

import { PermanentError } from "../handling.js";
import { text } from "./notes.js";

const MOST_NAMED = 3;

/** What a verb gives its handler: a promise that knows whether anybody has asked for its outcome. */
class Outcome<T> extends Promise<T> {
  // What is chained to it need not know.
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  awaited = false;

  // biome-ignore lint/suspicious/noThenProperty: a promise has one; `await`, `Promise.all` and `catch` all call it
  override then<A = T, B = never>(
    onValue?: ((value: T) => A | PromiseLike<A>) | null,
    onError?: ((error: any) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.awaited = true;
    return super.then(onValue, onError);
  }
}

/** A verb that has not ended, or that failed. */
interface Begun {
  verb: "run" | "sleep" | "waitForEvent";
  name: string;
  outcome: Outcome<any>;
  error?: unknown;
}

/** Those of one call of a handler. */
export class Verbs {
  readonly #begun = new Set<Begun>();

  /** What the handler is to await. */
  begin<T>(verb: Begun["verb"], name: string, work: Promise<T>): Promise<T> {
    const outcome = new Outcome<T>((resolve) => resolve(work));
    const begun: Begun = { verb, name, outcome };
    this.#begun.add(begun);
    // An error that nobody asked for is told at the end of the handler; unheard, it would end the worker.
    Promise.prototype.then.call(
      outcome,
      () => this.#begun.delete(begun),
      (error) => {
        begun.error = error;
      },
    );
    return outcome;
  }

  /**
   * At the end of the handler. Throws PermanentError, naming the verbs that it has not awaited: their outcome would be lost. A sleep or
   * a wait that it has awaited may go on, as one that has lost a race does: nothing of it is lost.
   */
  check(): void {
    const lost = [...this.#begun].filter((begun) => !begun.outcome.awaited || (begun.verb === "run" && !("error" in begun)));
    if (!lost.length) return;
    const names = lost.slice(0, MOST_NAMED).map(({ verb, name }) => `step.${verb}(${JSON.stringify(text(name, 100))})`);
    const more = lost.length > MOST_NAMED ? ` and ${lost.length - MOST_NAMED} more` : "";
    const failed = lost.find((begun) => "error" in begun);
    const how = failed ? `, and failed: ${text(failed.error)}` : ": the handler returned before the end of it";
    throw new PermanentError(`${names.join(", ")}${more} ${lost.length > 1 ? "were" : "was"} not awaited${how}`, {
      cause: failed?.error,
    });
  }
}
