/**
 * The Blaxel platform's dialect: what its answers say, in the shape and the words of our contract.
 *
 * What already has our shape comes out as it went in, and what neither knows is kept.
 */

import { type CreateJobExecutionRequest, NEW_ON_OURS } from "./options.js";
import { OFFSET } from "./paging.js";
import { invalid } from "./refusals.js";

type Json = Record<string, any>;

const WORDS: Record<string, string> = {
  queued: "pending",
  cancelling: "running",
  succeeded: "completed",
  timeout: "failed",
  canceled: "cancelled",
  unspecified: "pending",
  reconciling: "pending",
};
const ENDED = /^(succeeded|completed|failed|cancell?ed|timeout)$/;
/** What an answer is an answer to: the operation's parameters and body, the workspace, and when it was answered. */
type Seen = Json & { workspace: string; at: string };

/** What the platform has a route for, by method and path. */
const OPERATIONS: Record<string, (seen: Seen, answer: any) => Json> = {
  "POST /jobs/{job}/executions": created,
  "GET /jobs/{job}/executions/{executionId}": execution,
  "DELETE /jobs/{job}/executions/{executionId}": execution,
  "GET /jobs/{job}/executions": (seen, answer) => page(seen, answer, (row) => execution(seen, row)),
  "GET /jobs/{job}/executions/{executionId}/tasks": (seen, answer) => page(seen, answer, (row, index) => task(row, index, seen.at)),
  "GET /jobs/{job}": (seen, answer) => ({
    ...answer,
    metadata: { name: seen.job, workspace: seen.workspace, ...present(answer.metadata) },
  }),
};

/** The answer of such an operation in our shape. `date`: the header of that name. Throws for what is neither the platform's nor ours. */
export function translate(op: string, seen: Json & { workspace: string }, date: string | null, answer: unknown): Json {
  const at = Date.parse(date ?? "");
  const route = op.split(" ", 2).join(" ");
  return OPERATIONS[route]!({ ...seen, at: new Date(Number.isNaN(at) ? Date.now() : at).toISOString() }, answer);
}

function execution(seen: Seen, answer: Json): Json {
  const word: string = answer.status || "pending";
  const times = present(answer.metadata, true);
  const begun = times.createdAt ?? seen.at;
  const view: Json = present(answer);
  const spec = present(answer.spec);
  const inputs: unknown[] = spec.tasks ?? [];
  const total = view.stats?.total || (view.tasks ?? inputs).length;
  if (view.tasks) {
    const given = inputs.length === view.tasks.length;
    view.tasks = view.tasks.map((row: Json, index: number) => task(row, index, begun, given ? inputs[index] : undefined));
  }
  if (word === "timeout") {
    const limit = spec.timeout ? ` of ${spec.timeout} s` : "";
    view.error ??= { kind: "timeout", type: "TimeoutError", message: `the execution had not ended after its timeout${limit}` };
  } else if (word === "failed") {
    const failed = view.tasks?.find((row: Json) => row.error);
    if (failed) view.error ??= failed.error;
  }
  return {
    ...view,
    metadata: {
      ...(seen.executionId && { id: seen.executionId }),
      job: seen.job,
      workspace: seen.workspace,
      createdAt: begun,
      updatedAt: begun,
      ...times,
    },
    spec: { taskCount: total, priority: "medium", ...spec },
    status: WORDS[word] ?? word,
    done: view.done ?? ENDED.test(word),
    stats: { success: 0, failure: 0, running: 0, retried: 0, cancelled: 0, total, ...present(view.stats) },
  };
}

/** The platform sends ids only: the execution is new, and nobody has looked at it. */
function created(seen: Seen, answer: Json): Json {
  const { tasks, ...rest } = answer;
  const taskCount = (tasks ?? seen.body?.tasks ?? []).length;
  const id = answer.executionId.toString();
  return execution(seen, { metadata: { id }, spec: { taskCount }, disposition: "created", ...present(rest) });
}

function task(answer: Json, index: number, begun: string, input?: unknown): Json {
  const given = present(answer.metadata, true);
  const word = answer.status || "pending";
  const name = given.name || `task-${index}`;
  const createdAt = given.createdAt ?? begun;
  const view: Json = {
    attempts: Number("startedAt" in given),
    ...(input !== undefined && { input }),
    ...present(answer),
    status: WORDS[word] ?? word,
    metadata: { id: name, name, createdAt, updatedAt: createdAt, ...given },
  };
  const said = answer.conditions?.filter((one: Json) => one.message).pop();
  if (view.status === "failed" && said) {
    const type = said.executionReason || said.reason || said.type || "failed";
    view.error ??= { kind: "error", type, message: said.message };
  }
  return view;
}

/** Without what is null, which our contract leaves out; an input and a result may be null. An empty text is no time. */
function present(answer: Json | null | undefined, times = false): Json {
  const keep = ([key, value]: [string, unknown]) =>
    (value !== null || key === "input" || key === "result") && !(times && value === "" && key.endsWith("At"));
  return Object.fromEntries(Object.entries(answer ?? {}).filter(keep));
}

function page(seen: Seen, answer: any, row: (row: Json, index: number) => Json): Json {
  if (Array.isArray(answer)) {
    const limit = seen.limit || 20;
    const hasMore = answer.length >= limit;
    const meta = { hasMore, ...(hasMore && { nextCursor: `${OFFSET}${(seen.offset || 0) + limit}` }) };
    return { data: answer.map(row), meta };
  }
  const { nextCursor, ...meta } = present(answer.meta);
  const rows: Json[] = answer.data ?? [];
  return { ...answer, data: rows.map(row), meta: { hasMore: !!nextCursor, ...meta, ...(nextCursor && { nextCursor }) } };
}

/** The same for the Blaxel platform, which knows tasks only. Throws InvalidRequest for what it cannot do. */
export function forPlatform(body: CreateJobExecutionRequest): CreateJobExecutionRequest {
  const refused = Object.keys(body).find((name) => NEW_ON_OURS.test(name));
  if (refused) {
    const path = refused.replace(/Ms$/, "");
    throw invalid(`the Blaxel platform knows no ${path}: that takes a server of blaxel-jobs`, path);
  }
  const { input, ...rest } = body as Record<string, unknown>;
  if (!("input" in body)) return body;
  if (typeof input !== "object" || !input || Array.isArray(input)) {
    throw invalid("the Blaxel platform takes objects only, one for each task", "input");
  }
  return { ...rest, tasks: [input] } as unknown as CreateJobExecutionRequest;
}
