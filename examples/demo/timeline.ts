/**
 * The demo's picture: one row for each process, time from left to right. Each column shows what held at its middle, so two
 * spans that follow each other never look as if they overlapped. Draws only; decides nothing.
 */
import type { Chronicle } from "./chronicle.js";

export interface Pen {
  readonly exclusive: string;
  readonly shared: string;
  readonly waits: string;
  readonly idle: string;
  readonly killed: string;
  readonly left: string;
  readonly right: string;
}

export const blocks: Pen = {
  exclusive: "█",
  shared: "▒",
  waits: "·",
  idle: " ",
  killed: "✗",
  left: "▕",
  right: "▏",
};
/** Where the output is no terminal, or asks for plain text. */
export const plain: Pen = {
  exclusive: "#",
  shared: "=",
  waits: ".",
  idle: " ",
  killed: "X",
  left: "|",
  right: "|",
};

export function drawTimeline(
  chronicle: Chronicle,
  names: readonly string[],
  options: { startMs: number; endMs: number; columns: number; pen: Pen },
): string[] {
  const { startMs, endMs, pen } = options;
  const labelWidth = Math.max(...names.map((name) => name.length));
  const columns = Math.max(20, options.columns - labelWidth - 3);
  const columnMs = (endMs - startMs) / columns;
  const rows = names.map((name) => {
    const spans = chronicle.spans.filter((span) => span.name === name);
    const kill = chronicle.kills.find((one) => one.name === name);
    const killedAt = kill === undefined ? -1 : Math.floor((kill.atMs - startMs) / columnMs);
    let row = "";
    for (let column = 0; column < columns; column++) {
      const middleMs = startMs + (column + 0.5) * columnMs;
      const span = spans.find(({ fromMs, toMs }) => fromMs <= middleMs && middleMs < toMs);
      row += column === killedAt ? pen.killed : span === undefined ? pen.idle : pen[span.state];
    }
    return `${name.padEnd(labelWidth)} ${pen.left}${row}${pen.right}`;
  });
  const legend = `${pen.exclusive} holds alone   ${pen.shared} holds shared   ${pen.waits} waits   ${pen.killed} killed`;
  return [...rows, axis(labelWidth + 2, columns, columnMs), `${" ".repeat(labelWidth + 2)}${legend}`];
}

/** Whole seconds, each at its column. */
function axis(indent: number, columns: number, columnMs: number): string {
  let line = " ".repeat(indent);
  for (let second = 0; (second * 1000) / columnMs < columns; second++) {
    const at = indent + Math.round((second * 1000) / columnMs);
    const label = second === 0 ? "0 s" : String(second);
    if (at >= line.length + (second === 0 ? 0 : 1)) line = line.padEnd(at) + label;
  }
  return line;
}
