/** What happens to documents on their way: changes of bytes that do not keep the meaning, drawn by fast-check. */
import fc from "fast-check";
import { XmlFault } from "../../packages/core/src/xml.js";

type Damage = (bytes: Buffer, at: number, dice: number) => Buffer;
const SCRAPS = [
  "<",
  ">",
  "&",
  "</",
  "<![CDATA[x]]>",
  "<!DOCTYPE a>",
  "&#xD800;",
  "&nope;",
  "\0",
  "<Key>",
  "</Key>",
  "<Error>",
  "%",
  "<?x?>",
  "\ufffe",
  "<html>",
];
const DAMAGES: Readonly<Record<string, Damage>> = {
  flip: (bytes, at, dice) => splice(bytes, at, 1, Buffer.from([(bytes[at] ?? 0) ^ (1 << (dice % 8))])),
  drop: (bytes, at, dice) => splice(bytes, at, 1 + (dice % 40), Buffer.alloc(0)),
  insert: (bytes, at, dice) => splice(bytes, at, 0, Buffer.from(SCRAPS[dice % SCRAPS.length]!)),
  repeat: (bytes, at, dice) => splice(bytes, at, 0, bytes.subarray(at, at + 1 + (dice % 60))),
  swap: (bytes, at) => Buffer.concat([bytes.subarray(at), bytes.subarray(0, at)]),
};
function splice(bytes: Buffer, at: number, length: number, by: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), by, bytes.subarray(at + length)]);
}
export const damage = fc.array(
  fc.record({ kind: fc.constantFrom(...Object.keys(DAMAGES)), where: fc.nat(10_000), dice: fc.nat(10_000) }),
  {
    minLength: 1,
    maxLength: 3,
  },
);
type Damages = typeof damage extends fc.Arbitrary<infer T> ? T : never;
export function damaged(bytes: Buffer, all: Damages): Buffer {
  return all.reduce(
    (before, { kind, where, dice }) => DAMAGES[kind]!(before, where % (before.length + 1), dice),
    bytes,
  );
}

/** The answer, or that there is a fault; anything else is thrown on. */
export function tried<T>(work: () => T): T | "fault" {
  try {
    return work();
  } catch (error) {
    if (error instanceof XmlFault) return "fault";
    throw error;
  }
}
