/** What the emulator answers and refuses with: status, code and message, as B2 words them. */

export interface Made {
  readonly status: number;
  readonly body: Buffer | string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Thrown anywhere, answered as B2's error JSON. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }
}

export const bad = (message: string, code = "bad_request") => new Refusal(400, code, message);

export function json(value: unknown): Made {
  return { status: 200, body: JSON.stringify(value), headers: { "content-type": "application/json;charset=UTF-8" } };
}

export function refusalAnswer({ status, code, message, headers }: Refusal): Made {
  const body = JSON.stringify({ code, message, status });
  return { status, body, headers: { "content-type": "application/json;charset=UTF-8", ...headers } };
}
