/**
 * The errors of the whole project: one base class, known by a brand, told apart by `code` and `kind`.
 * Never holds a secret: no header, no query string, no credential ever becomes part of a message or of `details`.
 */

/** What the caller must do now. */
export type ErrorKind =
  /** Another holds it: wait or give up. */
  | "contended"
  /** The lease can no longer be proved: stop touching the resource. */
  | "lost"
  /** It may have happened: read again. */
  | "unknown"
  /** Not now: try later. */
  | "unavailable"
  /** Rights, keys or clock are wrong: a person must mend the configuration. */
  | "denied"
  /** This store or mode cannot do it: choose another. */
  | "unsupported"
  /** What was read is not what this project wrote: a person must look. */
  | "corrupt"
  /** The call is wrong: fix the program. */
  | "invalid";

export interface ErrorFacts {
  /** Stable, upper case; the contract. */
  readonly code: string;
  readonly kind: ErrorKind;
  /** The same call may succeed if made again. Default: true for `contended` and `unavailable` only. */
  readonly retryable?: boolean;
  readonly cause?: unknown;
  /** Values for programs: key, option, status, request id. Never a secret. */
  readonly details?: Readonly<Record<string, unknown>>;
}

const BRAND: unique symbol = Symbol.for("bucketlock.error") as never;

/** Base of every error thrown by this project (but the caller's own abort reason, which is rethrown unchanged). */
export class BucketlockError extends Error {
  readonly code: string;
  readonly kind: ErrorKind;
  readonly retryable: boolean;
  readonly details: Readonly<Record<string, unknown>>;
  readonly [BRAND] = true;

  constructor(message: string, facts: ErrorFacts) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = facts.code;
    this.kind = facts.kind;
    this.retryable = facts.retryable ?? (facts.kind === "contended" || facts.kind === "unavailable");
    this.details = facts.details ?? {};
  }

  override get name(): string {
    return this.constructor.name;
  }

  /** By brand, so that two copies of this package in one program know each other's errors. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (typeof value !== "object" || value === null || !(BRAND in value)) return false;
    // A subclass is asked by prototype or by name: its brand is the base's. (Named here, the class itself would be given another name
    // by the bundler, and every error with it.)
    return Object.getPrototypeOf(this) === Error || hasNameInChain(value, this.name);
  }
}

function hasNameInChain(value: object, name: string): boolean {
  for (let at: unknown = Object.getPrototypeOf(value); at; at = Object.getPrototypeOf(at)) {
    if ((at as { constructor: { name: string } }).constructor.name === name) return true;
  }
  return false;
}

/** A bad argument or setting. Names the option, the rule and what came. */
export class InvalidError extends BucketlockError {
  constructor(option: string, rule: string, value: unknown, facts?: Partial<ErrorFacts>) {
    super(`${option}: ${rule}; got ${show(value)}`, {
      code: "INVALID_OPTION",
      kind: "invalid",
      ...facts,
      details: { option, rule, ...facts?.details },
    });
  }
}

/** A store said no, or said nothing. `code` tells which (see docs/errors.md). */
export class StoreError extends BucketlockError {}

/** The value as a person would type it, cut to 80 characters. Objects are shown by their kind only: they may hold secrets. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 80 ? `${value.slice(0, 77)}...` : value);
  if (typeof value === "bigint") return `${value}n`;
  if (value === null || typeof value !== "object") return String(value).slice(0, 80);
  return Array.isArray(value)
    ? `an array of ${value.length}`
    : `an object (${value.constructor?.name ?? "no prototype"})`;
}
