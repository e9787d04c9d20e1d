/** A promise whose outcome a test wants to see without waiting for it. Asserts nothing. */

/** Its outcome, as soon as there is one. */
export function watched<T>(promise: Promise<T>): { value?: T; error?: unknown } {
  const seen: { value?: T; error?: unknown } = {};
  promise.then(
    (value) => {
      seen.value = value;
    },
    (error: unknown) => {
      seen.error = error;
    },
  );
  return seen;
}
