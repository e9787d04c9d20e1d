/**
 * The body of an answer as it comes, for one who reads it by `for await`: no more is taken from the connection than is
 * asked for. It looks into nothing and decides nothing.
 */
import type { HttpAnswer } from "../request.js";

const AHEAD_BYTES = 256 * 1024;

/** Leaving the loop early closes the connection. Throws HttpFault, or the signal's reason. */
export async function* piecesOf(answer: HttpAnswer): AsyncGenerator<Uint8Array, void, void> {
  const { flow } = answer;
  if (flow === undefined) {
    if (answer.body.length > 0) yield answer.body;
    return;
  }
  let held: Uint8Array[] = [];
  let bytes = 0;
  let end: { readonly failed: boolean; readonly reason?: unknown } | undefined;
  let wake = () => {};
  flow.start({
    chunk(piece) {
      held.push(piece);
      bytes += piece.length;
      wake();
      return bytes < AHEAD_BYTES;
    },
    end() {
      end = { failed: false };
      wake();
    },
    fail(reason) {
      end = { failed: true, reason };
      wake();
    },
  });
  try {
    for (;;) {
      if (held.length > 0) {
        const now = held;
        held = [];
        bytes = 0;
        for (const piece of now) yield piece;
        if (end === undefined) flow.resume();
      } else if (end !== undefined) {
        if (end.failed) throw end.reason;
        return;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    if (end === undefined) flow.stop();
  }
}
