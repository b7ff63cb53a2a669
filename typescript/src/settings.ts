/** Settings: an argument wins over `configure()`, that over the environment, that over what is built in. */

import { ConfigError } from "./errors.js";

/** How to reach the server. What is left out comes from the next source. */
export interface Settings {
  /** Where the API is; `/v0` is added to a URL without a path. BL_API_URL; else the platform if there are credentials, else
   * http://127.0.0.1:8080. */
  url?: string | undefined;
  /** An API key or a token: sent as it is. BL_API_KEY. Of this and `clientCredentials` the one from the stronger source counts. */
  apiKey?: string | undefined;
  /** Base64 of `id:secret`, for which tokens are fetched at `{url}/oauth/token`. BL_CLIENT_CREDENTIALS. */
  clientCredentials?: string | undefined;
  /** BL_WORKSPACE. */
  workspace?: string | undefined;
  /** Milliseconds that the server may take for an answer; a long poll has its wait on top. 60,000 unless given. */
  requestTimeout?: number | undefined;
  /** How often a request is sent again when the server could not be reached, was busy or failed. 2 unless given. */
  retries?: number | undefined;
  /** Instead of the global `fetch`. */
  fetch?: typeof fetch | undefined;
}

export interface Resolved extends Settings {
  url: string;
  requestTimeout: number;
  retries: number;
}

const PLATFORM = "https://api.blaxel.ai/v0";
const LOCAL = "http://127.0.0.1:8080/v0";

let configured: Settings = {};
/** How often `configure` was called: what was resolved before may be stale. */
let revision = 0;

/** Set settings for the whole process; a client's own arguments win over them. `undefined` takes one back. */
export function configure(settings: Settings): void {
  const next = { ...configured, ...settings };
  check(next);
  configured = next;
  revision += 1;
}

/** Throws ConfigError for a value that a setting cannot have. */
export function resolve(own: Settings): Resolved {
  check(own);
  const env = environment();
  const sources: Settings[] = [
    own,
    configured,
    { url: env.BL_API_URL, apiKey: env.BL_API_KEY, clientCredentials: env.BL_CLIENT_CREDENTIALS, workspace: env.BL_WORKSPACE },
  ];
  const first = <K extends keyof Settings>(name: K): Settings[K] => sources.find((source) => source[name])?.[name];
  const { apiKey, clientCredentials } = sources.find((source) => source.apiKey || source.clientCredentials) ?? {};
  return {
    url: readUrl(first("url") || (apiKey || clientCredentials ? PLATFORM : LOCAL)),
    apiKey,
    clientCredentials: apiKey ? undefined : clientCredentials,
    workspace: first("workspace"),
    requestTimeout: first("requestTimeout") ?? 60_000,
    retries: own.retries ?? configured.retries ?? 2,
    fetch: first("fetch"),
  };
}

/** Equal as long as `configure()` and the environment have not changed what `resolve` would answer. */
export function revisionOf(): string {
  const env = environment();
  return [revision, env.BL_API_URL, env.BL_API_KEY, env.BL_CLIENT_CREDENTIALS, env.BL_WORKSPACE].join("\n");
}

/** The environment's variables; in browsers there are none. */
export function environment(): Record<string, string | undefined> {
  return (globalThis as { process?: { env?: Record<string, string | undefined> } }).process?.env ?? {};
}

/** Is this where the Blaxel platform answers. */
export function isPlatform(url: string): boolean {
  return /\.blaxel\.(ai|dev)$/.test(new URL(url).hostname);
}

function check(settings: Settings): void {
  for (const [name, value] of Object.entries(settings)) {
    if (!/^(url|apiKey|clientCredentials|workspace|requestTimeout|retries|fetch)$/.test(name))
      throw new ConfigError(`${name} is no setting`);
    if (/^re/.test(name) && value !== undefined && !(value >= 0 && value < Infinity))
      throw new ConfigError(`${name} cannot be ${value}`);
  }
}

function readUrl(text: string): string {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {}
  if (!url || !/^https?:$/.test(url.protocol) || url.search || url.hash || url.username) {
    throw new ConfigError(`${text} is not the URL of a server`);
  }
  return url.origin + (url.pathname.replace(/\/+$/, "") || "/v0");
}
