/** HTTP: the only module that calls `fetch`. Sends operations of the contract and reads their answers. */

import type { paths } from "./contract.js";
import { ConnectionFailed, ContractError, type NotFound, RequestTimeout } from "./errors.js";
import { errorClass } from "./refusals.js";
import { isPlatform, type Resolved } from "./settings.js";

type Method = "get" | "post" | "put" | "delete";
type Route = {
  [P in keyof paths]: { [M in Method]: paths[P][M] extends object ? `${Uppercase<M>} ${P}` : never }[Method];
}[keyof paths];
type Operation<R extends string> = R extends `${infer M} ${infer P extends keyof paths}` ? Has<paths[P], Lowercase<M>> : never;
/** A property's type; no constraint where there is none. */
type Has<T, K extends PropertyKey> = T extends { [P in K]?: infer V }
  ? [NonNullable<V>] extends [never]
    ? unknown
    : NonNullable<V>
  : unknown;
type Json<T> = Has<Has<T, "content">, "application/json">;
type AnswerOf<R extends Route> = Json<Has<Has<Operation<R>, "responses">, 200>>;

/**
 * An operation of the contract: its method, its path, and a field that its answer always has (none for an answer without a body).
 * What is not in the contract does not compile.
 */
export type Op = { [R in Route]: unknown extends AnswerOf<R> ? R : `${R} ${keyof AnswerOf<R> & string}` }[Route];
type RouteOf<O extends Op> = O extends `${infer M} ${infer P} ${string}` ? `${M} ${P}` : O;
type Given<O extends Op> = Has<Operation<RouteOf<O>>, "parameters">;
export type Parameters<O extends Op> = Has<Given<O>, "path"> & Partial<Has<Given<O>, "query">>;
export type Body<O extends Op> = Json<Has<Operation<RouteOf<O>>, "requestBody">>;
export type Answer<O extends Op> = Json<Has<Has<Operation<RouteOf<O>>, "responses">, 200>>;

/** What goes with a call, beside its parameters. Times are milliseconds. */
export interface Extra<O extends Op> {
  body?: Body<O>;
  /** The body as JSON text. */
  text?: string;
  /** Seconds that the server is asked to hold the answer. */
  wait?: number | undefined;
  idempotencyKey?: string | undefined;
  /** The most that the call may take, where its caller has less time than a request usually has. */
  timeout?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** Time, randomness and keys: replaced in tests. */
export interface Clock {
  /** Milliseconds, monotonic. */
  now(): number;
  /** Throws the signal's reason when it is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** 0 to 1. */
  random(): number;
  newKey(): string;
}

/** What a timer can carry. */
const MOST_TIMER = 2 ** 31 - 1;

const REAL: Clock = {
  now: () => performance.now(),
  random: Math.random,
  newKey: () => crypto.getRandomValues(new Uint32Array(4)).join("-"),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const over = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const end = () => {
        signal?.removeEventListener("abort", over);
        resolve();
      };
      const timer = setTimeout(end, Math.min(ms, MOST_TIMER));
      signal?.addEventListener("abort", over, { once: true });
    }),
};

const VERSION = "0.1.0";
/** What a fetch fails with before anything was sent, as Node, Deno and Bun say it. Browsers do not tell. */
const UNSENT = /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|UNREACH|CONNECT_TIMEOUT|ConnectionRefused|tcp connect/;
/** Operations that the platform has too. */
const PLATFORM_TOO = /^(?!PUT).* \/jobs\/{job}(\/executions(\/{executionId}(\/tasks)?)?)? /;

/** An answer, read to its end. */
export interface Whole {
  status: number;
  headers: Headers;
  text: string;
}

/** The way to one server, and what its answers have told of it. */
export class Connection {
  /** True: it answers in our contract. False: it is the platform. Undefined as long as no answer told; then ours is assumed. */
  contract: boolean | undefined;
  /** Operations for which it has no route. */
  readonly missing: Set<Op> = new Set();
  /** Its address is the platform's. */
  readonly doubtful: boolean;
  readonly settings: Resolved;
  readonly #clock: Clock;
  readonly #headers: Record<string, string>;
  /** By how much the server's own time runs ahead of ours: that of a mock does, by what its answers say. */
  #ahead = 0;
  /** What was slept in that time and no request has told of yet; undefined as long as no answer named a time. */
  #slept: number | undefined;

  constructor(settings: Resolved, clock: Clock = REAL) {
    this.settings = settings;
    this.doubtful = isPlatform(settings.url);
    this.#clock = clock;
    this.#headers = {
      "Jobs-Contract": "1",
      "Blaxel-Version": "2026-09-22",
      ...(settings.apiKey && bearer(settings.apiKey)),
      ...(settings.workspace && { "X-Blaxel-Workspace": settings.workspace }),
      // Browsers send their own.
      ...("document" in globalThis ? undefined : { "User-Agent": `blaxel-jobs-js/${VERSION}` }),
    };
  }

  get isPlatform(): boolean {
    return this.contract === false;
  }

  now(): number {
    return this.#clock.now() + this.#ahead;
  }

  random(): number {
    return this.#clock.random();
  }

  newKey(): string {
    return this.#clock.newKey();
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (this.#slept === undefined) return this.#clock.sleep(ms, signal);
    signal?.throwIfAborted();
    this.#slept += ms;
    this.#ahead += ms;
  }

  /** Throws ConnectionFailed, RequestTimeout, ContractError, the RequestError of the answer's status, and the signal's reason. */
  async perform<O extends Op>(op: O, parameters: Parameters<O>, extra: Extra<O> = {}): Promise<Answer<O>> {
    const most = Math.min(this.settings.requestTimeout + (extra.wait ?? 0) * 1000, extra.timeout ?? Infinity);
    const began = this.now();
    const response = await this.send(op, parameters, extra, most, read);
    const { status, headers, text } = response;
    const elapsed = headers.get("Mock-Elapsed");
    if (elapsed) {
      this.#slept ??= 0;
      this.#ahead += Math.max(0, began + +elapsed * 1000 - this.now());
      this.missing.add("POST /watch"); // it brings nothing as long as nobody waits in its time
    }
    let answer: any = status === 200 ? parse(text) : undefined;
    const both = !this.learn(response) && status === 200 && PLATFORM_TOO.test(op);
    if (both && answer && this.contract === undefined) this.contract = saysDone(answer) ? undefined : false;
    check(response);
    const field = op.split(" ")[2];
    try {
      if (both) {
        const { translate } = await import("./platform.js");
        const seen = { ...(parameters as object), body: extra.body, workspace: this.settings.workspace ?? "" };
        answer = translate(op, seen, headers.get("Date"), answer);
      }
      if (field ? field in answer : status === 204) return answer;
    } catch {}
    throw new ContractError(`the answer of ${op} (HTTP ${status}) is not that of the contract`);
  }

  /** Note what an answer tells of its dialect: an echo is ours for good. What has none may come from a proxy on the way. True once it
   * is known to be ours. */
  learn({ status, headers }: Pick<Response, "status" | "headers">): boolean {
    if (this.contract) return true;
    if (headers.has("Jobs-Contract")) this.contract = true;
    else if (status === 404 && headers.get("Content-Type")?.includes("json")) this.contract ??= false;
    return !!this.contract;
  }

  /** The answer, through `take`, which is part of what may take `most` milliseconds. */
  async send<T>(
    op: string,
    parameters: object,
    extra: Extra<any> & { headers?: Record<string, string> },
    most: number,
    take: (response: Response) => Promise<T>,
  ): Promise<T> {
    let [method, path] = op.split(" ") as [string, string];
    let mark = "?";
    for (const [name, value] of Object.entries(parameters)) {
      const text = encodeURIComponent(value);
      const filled = path.replace(`{${name}}`, text);
      if (filled !== path) path = filled;
      else if (value !== undefined) {
        path += `${mark}${name}=${text}`;
        mark = "&";
      }
    }
    const { body, wait, idempotencyKey, headers: more, signal } = extra;
    const text: string | undefined = extra.text ?? (body === undefined ? undefined : await encode(body));
    const headers: Record<string, string> = { ...this.#headers, ...more };
    const init: RequestInit = { method, headers, redirect: "manual" };
    if (text) {
      headers["Content-Type"] = "application/json";
      init.body = text;
    }
    if (wait !== undefined) headers.Prefer = `wait=${wait}`;
    if (idempotencyKey) headers["Idempotency-Key"] = idempotencyKey;
    if (this.#slept) {
      headers["Mock-Slept"] = `${this.#slept / 1000}`;
      this.#slept = 0;
    }
    const url = this.settings.url + path;
    if (!this.settings.clientCredentials) return this.exchange(url, init, most, signal, take);
    return (await import("./tokens.js")).exchangeWithToken(this, url, init, headers, most, signal, take);
  }

  async exchange<T>(
    url: string,
    init: RequestInit,
    most: number,
    signal: AbortSignal | undefined,
    take: (response: Response) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    const controller = new AbortController();
    const abort = () => controller.abort();
    const timer = setTimeout(abort, Math.min(most, MOST_TIMER));
    signal?.addEventListener("abort", abort);
    init.signal = controller.signal;
    try {
      return await take(await (this.settings.fetch ?? fetch)(url, init));
    } catch (error) {
      signal?.throwIfAborted();
      if (init.signal.aborted) throw new RequestTimeout(`${this.settings.url} did not answer within ${Math.round(most)} ms`);
      throw this.failure(error);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  /** What a fetch failed with in our words. */
  failure(error: unknown): unknown {
    if (!(error instanceof TypeError)) return error;
    const cause: any = error.cause;
    const why = `${cause?.code || cause || error.message}`;
    const failed = new ConnectionFailed(`no answer from ${this.settings.url}: ${why}`, { cause: error });
    failed.sent = !UNSENT.test(why);
    if (!failed.sent) failed.message += " (start one with `blaxel-jobs serve`, or set BL_API_URL)";
    return failed;
  }
}

/** JSON text of plain data. Throws InvalidRequest, naming the place. */
async function encode(body: unknown): Promise<string> {
  try {
    return JSON.stringify(body, plain);
  } catch {
    throw (await import("./plain.js")).refusalOf(body);
  }
}

/** A replacer that replaces nothing, and throws for what is not plain; plain.ts says why. */
function plain(this: any, key: string): unknown {
  const value = this[key]; // as it is before a toJSON of its own
  const prototype = typeof value === "object" && value && !Array.isArray(value) && Object.getPrototypeOf(value);
  const odd = prototype
    ? Object.getPrototypeOf(prototype)
    : /bigint|function|symbol/.test(typeof value) || (typeof value === "number" && !Number.isFinite(value));
  if (odd) throw odd;
  return value;
}

/** The header that says who calls. */
export function bearer(token: string): Record<string, string> {
  return { "X-Blaxel-Authorization": `Bearer ${token}` };
}

/** Executions in our shape say whether they are done; the platform's do not. */
function saysDone(answer: any): boolean {
  const rows = answer.data ?? answer;
  return typeof (rows[0] ?? rows).done === "boolean";
}

/** Read an answer to its end. */
export async function read(response: Response): Promise<Whole> {
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** Throws the error of a refusal. */
export function check({ status, headers, text }: Whole): void {
  if (status < 400) return;
  const body: any = parse(text) ?? text;
  const word = (name: string) => (typeof body[name] === "string" && body[name]) || undefined;
  // What some proxy put in the way is a page.
  const page = text.replace(/(<(script|style|head)\b[\s\S]*?<\/\2>|<[^>]*>|\s)+/gi, " ").trim();
  const message = word("message") ?? word("detail") ?? word("title") ?? word("error") ?? `HTTP ${status} ${page.slice(0, 200)}`;
  throw new (errorClass(status, body.error))(message.trim(), {
    status,
    path: word("path"),
    requestId: word("requestId") ?? headers.get("X-Request-Id") ?? undefined,
    body,
    retryAfter: retryAfter(headers),
  });
}

/** The other side has no such thing, or no such operation. */
export function isMissing(error: any): error is NotFound {
  return error.status === 404 || error.status === 405;
}

/** Undefined for what is no JSON. */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Milliseconds (RFC 9110: seconds, or a date, which is read against the server's own clock). */
function retryAfter(headers: Headers): number | undefined {
  const value = headers.get("Retry-After") ?? "";
  const ms = /^\d{1,9}(\.\d+)?$/.test(value) ? +value * 1000 : Date.parse(value) - Date.parse(headers.get("Date") ?? "");
  return ms >= 0 ? ms : ms < 0 ? 0 : undefined;
}
