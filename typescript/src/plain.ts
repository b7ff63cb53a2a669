/** Plain data: what JSON carries and gives back equal. */

import { type InvalidRequest, NotSerializable } from "./errors.js";
import { invalid } from "./refusals.js";

/**
 * Throws NotSerializable, naming the place, unless the value is made of plain objects, arrays, strings, finite numbers, booleans and
 * null: a Date, a Map or an instance of a class would come back as something else. What is undefined in it is left out, or null in an
 * array, as ever.
 */
export function checkPlain(value: unknown, path = ""): void {
  const refuse = (why: string) => {
    const error = new NotSerializable(`${path || "the value"} ${why}`);
    error.path = path || undefined;
    throw error;
  };
  if (typeof value === "string") {
    // Old engines cannot tell; the server can.
    if ((value as { isWellFormed?(): boolean }).isWellFormed?.() === false) refuse("has a lone surrogate: it is not Unicode text");
  } else if (typeof value === "number") {
    if (!Number.isFinite(value)) refuse(`is ${value}: JSON has finite numbers only`);
  } else if (Array.isArray(value)) {
    value.forEach((child, index) => {
      if (child !== undefined) checkPlain(child, `${path}[${index}]`);
    });
  } else if (typeof value === "object" && value !== null) {
    const prototype = Object.getPrototypeOf(value);
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
      refuse(`is a ${value.constructor?.name}: JSON carries objects, arrays, strings, numbers, booleans and null`);
    }
    for (const [key, child] of Object.entries(value)) {
      if (child !== undefined) checkPlain(child, path ? `${path}.${key}` : key);
    }
  } else if (typeof value !== "boolean" && value !== null) refuse(`is ${typeof value}, which JSON cannot carry`);
}

/** Why a body is refused, naming the place. */
export function refusalOf(body: unknown): InvalidRequest {
  try {
    checkPlain(body);
  } catch (error) {
    if (error instanceof NotSerializable) return invalid(error.message, error.path);
  }
  return invalid("the request is nested too deeply, or contains itself");
}
