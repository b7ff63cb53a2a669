/** `defineJob`: a job as its author defined it. No I/O. */

import { checkJobName } from "./names.js";
import { milliseconds, type RetryPolicy, type Schemas, wirePolicy } from "./options.js";
import { invalid } from "./refusals.js";
import type { Step } from "./step.js";

/** What input and output may be: any Standard Schema (standardschema.dev), such as those of zod, valibot and arktype. */
export interface Schema<In = any, Out = In> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => Validated<Out> | Promise<Validated<Out>>;
    readonly types?: { readonly input: In; readonly output: Out } | undefined;
    /** Of libraries that can tell. */
    readonly jsonSchema?: {
      readonly input: (options: any) => Record<string, unknown>;
      readonly output: (options: any) => Record<string, unknown>;
    };
  };
}

type Validated<Out> = { readonly value: Out; readonly issues?: undefined } | { readonly issues: ReadonlyArray<Issue> };
interface Issue {
  readonly message: string;
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined;
}

type InOf<S> = S extends { readonly "~standard": { readonly types?: { readonly input: infer In } | undefined } } ? In : any;
type OutOf<S> = S extends { readonly "~standard": { readonly types?: { readonly output: infer Out } | undefined } } ? Out : any;

/** The defaults of a job's executions, and its limits. Durations are milliseconds; what is left out is not set. */
export interface Defaults {
  /** Tries of a task after the first that failed. */
  maxRetries?: number | undefined;
  /** The time between two tries, always the same. */
  retryDelay?: number | undefined;
  retryPolicy?: RetryPolicy | undefined;
  /** From the first start of an execution to its end, without pauses. */
  timeout?: number | undefined;
  priority?: "critical" | "high" | "medium" | "low" | undefined;
  /** How many executions run at once; `concurrencyPerKey`: with one concurrency key. */
  concurrency?: number | undefined;
  concurrencyPerKey?: number | undefined;
  /** The label by which workers choose what to serve. `default` unless given. */
  queue?: string | undefined;
}

/** A job: a handler that is given a `Payload`, made of an `I` by its schema, and returns an `O`. */
export interface JobDef<I = any, Payload = I, O = any> extends Defaults {
  readonly name: string;
  readonly run: (step: Step, payload: Payload) => unknown;
  /** Throws InvalidRequest, naming the place, for a payload that the job does not take. */
  checkInput(payload: I, path?: string): Promise<Payload>;
  /** The result as it is stored. Throws InvalidRequest for one that is not what `output` promises. */
  checkOutput(value: unknown): Promise<O>;
  /** What the server is told of this job. */
  definition(): Schemas["JobDefinition"];
}

/**
 * Define a job. `input` is checked before a payload is sent and before the handler runs, `output` before the result is stored.
 *
 * Throws InvalidRequest, naming the argument, for a value that it cannot have.
 */
export function defineJob<SI extends Schema | undefined = undefined, SO extends Schema | undefined = undefined, R = unknown>(
  job: Defaults & {
    name: string;
    input?: SI;
    output?: SO;
    run: (
      step: Step,
      payload: SI extends Schema ? OutOf<SI> : any,
    ) => SO extends Schema ? InOf<SO> | Promise<InOf<SO>> : R | Promise<R>;
  },
): JobDef<SI extends Schema ? InOf<SI> : any, SI extends Schema ? OutOf<SI> : any, SO extends Schema ? OutOf<SO> : R> {
  const { name, input, output, run, ...defaults } = job;
  checkJobName(name);
  if (typeof run !== "function") throw invalid(`run of the job '${name}' is a function`, "run");
  for (const [argument, schema] of Object.entries({ input, output })) {
    if (schema !== undefined && typeof schema?.["~standard"]?.validate !== "function") {
      throw invalid(`${argument} of the job '${name}' is a Standard Schema`, argument);
    }
  }
  const known = /^(maxRetries|retryDelay|retryPolicy|timeout|priority|concurrency|concurrencyPerKey|queue)$/;
  const unknown = Object.keys(defaults).find((key) => !known.test(key));
  if (unknown) throw invalid(`a job has no ${unknown}`, unknown);
  const { retryDelay, retryPolicy, timeout, ...same } = defaults;
  const wire = JSON.parse(
    JSON.stringify({
      ...same,
      ...(retryDelay !== undefined && { retryDelayMs: milliseconds("retryDelay", retryDelay) }),
      ...(retryPolicy && { retryPolicy: wirePolicy(retryPolicy) }),
      ...(timeout !== undefined && { timeoutMs: milliseconds("timeout", timeout) }),
      inputSchema: jsonSchema(input, "input"),
      outputSchema: jsonSchema(output, "output"),
    }),
  );
  return {
    ...defaults,
    name,
    run,
    checkInput: (payload, path = "input") => validate(input, payload, path),
    checkOutput: (value) => validate(output, value, "output"),
    definition: () => wire,
  };
}

async function validate(schema: Schema | undefined, value: unknown, path: string): Promise<any> {
  if (!schema) return value;
  const found = await schema["~standard"].validate(value);
  if (!found.issues) return found.value;
  const [first] = found.issues;
  let place = path;
  for (const part of first?.path ?? []) {
    const key = typeof part === "object" ? part.key : part;
    place += typeof key === "number" ? `[${key}]` : `.${String(key)}`;
  }
  throw invalid(`${place}: ${first?.message}`, place);
}

/** Where the library can tell. It is for people and tools. */
function jsonSchema(schema: Schema | undefined, side: "input" | "output"): unknown {
  try {
    return schema?.["~standard"].jsonSchema?.[side]({ target: "draft-2020-12" });
  } catch {
    return undefined;
  }
}
