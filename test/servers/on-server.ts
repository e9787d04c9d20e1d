/**
 * How a test file of ring 5 asks for its servers: a group of tests that runs on the server, or one test in its place that
 * is skipped with the reason (or fails, where ring 5 is required). Starts nothing: ring5.ts has.
 */
import { describe, inject, it } from "vitest";
import type { Found } from "./ring5.js";
import { type ServerFacts, type ServerName, serverNames } from "./server.js";

/** The server, or why there is none. For what `onServer` does not fit. */
export function ring5(name: ServerName): Found<ServerFacts> {
  return inject("ring5").servers[name];
}

export function onServer(name: ServerName, body: (server: ServerFacts) => void): void {
  describe(name, () => withFound(ring5(name), body));
}

export function onEveryServer(body: (server: ServerFacts) => void): void {
  for (const name of serverNames) onServer(name, body);
}

/** Tests that need the Python library s3func as well. */
export function withS3func(body: (s3func: { readonly python: string }) => void): void {
  describe("s3func", () => withFound(inject("ring5").s3func, body));
}

function withFound<T>(answer: Found<T>, body: (found: T) => void): void {
  if ("found" in answer) {
    body(answer.found);
    return;
  }
  it("is here", (context) => {
    if (inject("ring5").mode === "required") throw new Error(`ring 5 is required: ${answer.missing}`);
    context.skip(answer.missing);
  });
}
