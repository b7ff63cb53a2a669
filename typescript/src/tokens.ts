/** Bearer tokens for client credentials (OAuth 2.0 client credentials grant, RFC 6749 4.4, as the Blaxel platform has it). */

import { ConnectionFailed, ContractError } from "./errors.js";
import { bearer, type Connection, check, parse, read } from "./transport.js";

interface Token {
  value: string;
  until: number;
}

const tokens = new WeakMap<Connection, Promise<Token>>();

/** The connection's token, another one than `refused`: fetched when first needed, and when it is about to expire. */
async function tokenOf(connection: Connection, refused?: string): Promise<string> {
  const held = await tokens.get(connection)?.catch(() => undefined);
  if (held && held.value !== refused && held.until > connection.now()) return held.value;
  const fetching = fetchToken(connection);
  tokens.set(connection, fetching);
  return (await fetching).value;
}

/** An exchange with the connection's token in `headers`, which are those of `init`; with another one where that is refused. */
export async function exchangeWithToken<T>(
  connection: Connection,
  url: string,
  init: RequestInit,
  headers: Record<string, string>,
  most: number,
  signal: AbortSignal | undefined,
  take: (response: Response) => Promise<T>,
): Promise<T> {
  const token = await tokenOf(connection);
  Object.assign(headers, bearer(token));
  return connection.exchange(url, init, most, signal, async (response) => {
    if (response.status !== 401) return take(response);
    Object.assign(headers, bearer(await tokenOf(connection, token)));
    return connection.exchange(url, init, most, signal, take);
  });
}

async function fetchToken(connection: Connection): Promise<Token> {
  const { url, clientCredentials, requestTimeout } = connection.settings;
  const began = connection.now();
  const headers = { Authorization: `Basic ${clientCredentials}`, "Content-Type": "application/json" };
  const init = { method: "POST", headers, body: '{"grant_type":"client_credentials"}' };
  try {
    const answer = await connection.exchange(`${url}/oauth/token`, init, requestTimeout, undefined, read);
    check(answer);
    const { access_token: value, expires_in } = (parse(answer.text) ?? {}) as { access_token?: unknown; expires_in?: unknown };
    if (typeof value !== "string" || !/^[!-~]+$/.test(value)) {
      throw new ContractError(`the answer of POST ${url}/oauth/token has no access_token`);
    }
    const ms = Number(expires_in || 3600) * 1000;
    // Not used any more in its last minute; one that lives short, in its last tenth.
    return { value, until: began + ms - Math.min(60_000, ms / 10) };
  } catch (error) {
    if (error instanceof ConnectionFailed) error.sent = false; // what the token is for was not
    throw error;
  }
}
