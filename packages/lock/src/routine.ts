/**
 * A routine that runs under a lease: the first error wins, and a release is never left out.
 */
import { InvalidError } from "@bucketlock/core";

/** Acquires, runs, releases. The routine's own error is thrown as it is, with a failing release attached as its `releaseError`. */
export async function runUnder<L extends { release(): Promise<void> }, T>(
  acquire: () => Promise<L>,
  fn: (lease: L) => T | Promise<T>,
): Promise<T> {
  if (typeof fn !== "function") throw new InvalidError("fn", "must be a function", fn);
  const lease = await acquire();
  let result: T;
  try {
    result = await fn(lease);
  } catch (error) {
    await lease.release().catch((releaseError: unknown) => attach(error, releaseError));
    throw error;
  }
  await lease.release();
  return result;
}

export function attach(error: unknown, releaseError: unknown): void {
  if (typeof error !== "object" || error === null || !Object.isExtensible(error) || error === releaseError) return;
  Object.defineProperty(error, "releaseError", { value: releaseError, configurable: true });
}
