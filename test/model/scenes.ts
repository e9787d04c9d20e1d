/**
 * The scenes that are explored whole: in every test run, or only when BUCKETLOCK_EXPLORER=full asks for the long ones.
 * `floor` is about half of what there is to visit: an explorer that explores nothing must not pass.
 */
import type { Mode } from "../../packages/lock/src/two-object/ticket.js";
import type { Scene } from "./scene.js";

export interface Staged {
  readonly title: string;
  readonly scene: Omit<Scene, "ranks">;
  /** So many id orders, spread over all; undefined: all. */
  readonly orders?: number;
  readonly floor: number;
  readonly full?: true;
}

const x: Mode = "exclusive";
const s: Mode = "shared";
const p: Mode = "permit";
const two = { modes: [x, x], tickets: 1, timestamps: 2, listing: "spread" } as const;
const three = { modes: [x, x, x], tickets: 1, timestamps: 2, listing: "spread" } as const;

const three2 = { ...three, modes: [p, p, p], permits: [2, 2, 2] } as const;
const PERMITS: readonly Staged[] = [
  { title: "2 permits, no restart", scene: three2, floor: 300_000 },
  {
    title: "2 permits, one expires",
    scene: { ...three2, listing: "snapshot", expiry: [0] },
    floor: 200_000,
    full: true,
  },
  { title: "2 permits, one never releases", scene: { ...three2, listing: "snapshot", keeps: [0] }, floor: 50_000 },
  {
    title: "2 permits, and one counts 3",
    scene: { ...three2, permits: [2, 2, 3], listing: "snapshot" },
    floor: 50_000,
  },
  { title: "1 permit, expiry", scene: { ...two, modes: [p, p], permits: [1, 1], expiry: true }, floor: 5_000 },
  { title: "2 or 3 permits, expiry", scene: { ...two, modes: [p, p], permits: [2, 3], expiry: true }, floor: 5_000 },
  {
    title: "2 permits or a lock, expiry",
    scene: { ...two, modes: [p, x], permits: [2, undefined], expiry: true },
    floor: 5_000,
  },
  {
    title: "2 permits or a reader, expiry",
    scene: { ...two, modes: [p, s], permits: [2, undefined], expiry: true },
    floor: 5_000,
  },
  {
    title: "2 permits, 1 restart each",
    scene: { ...three2, tickets: 2, listing: "snapshot" },
    orders: 2,
    floor: 900_000,
    full: true,
  },
  {
    title: "2 permits, one crashes, one tries once",
    scene: { ...three2, listing: "snapshot", crash: [0], expiry: [0], tries: [1] },
    floor: 700_000,
    full: true,
  },
  { title: "2 permits, one never releases", scene: { ...three2, keeps: [0] }, floor: 500_000, full: true },
  {
    title: "1 permit, 1 restart each, expiry",
    scene: { ...two, modes: [p, p], permits: [1, 1], tickets: 2, expiry: true },
    floor: 400_000,
    full: true,
  },
  {
    title: "2 or 3 permits, 1 restart each, expiry",
    scene: { ...two, modes: [p, p], permits: [2, 3], tickets: 2, expiry: true },
    floor: 1_600_000,
    full: true,
  },
  {
    title: "2 permits or a lock, 1 restart each, expiry",
    scene: { ...two, modes: [p, x], permits: [2, undefined], tickets: 2, expiry: true },
    floor: 900_000,
    full: true,
  },
  { title: "2 permits, and one counts 3", scene: { ...three2, permits: [2, 2, 3] }, floor: 600_000, full: true },
];

export const SCENES: readonly Staged[] = [
  ...(
    [
      [x, x],
      [x, s],
      [s, s],
    ] as const
  ).map((modes) => ({
    title: "expiry, take-over, 1 restart each",
    scene: { ...two, modes, tickets: 2, expiry: true },
    floor: 20_000,
  })),
  { title: "1 restart each, snapshot listing", scene: { ...two, tickets: 2, listing: "snapshot" }, floor: 4_500 },
  { title: "2 restarts each, snapshot listing", scene: { ...two, tickets: 3, listing: "snapshot" }, floor: 200_000 },
  { title: "crash at any point, late -0", scene: { ...two, crash: true, lateDoors: 1 }, floor: 800 },
  { title: "late -0, expiry", scene: { ...two, expiry: true, lateDoors: 2 }, floor: 7_000 },
  { title: "PUT -1 unclear: landed, later, never", scene: { ...two, unknownPlace: true, expiry: true }, floor: 5_000 },
  { title: "a person breaks any ticket", scene: { ...two, breaker: true, beginApart: true }, floor: 15_000 },
  { title: "callers give up, PUT -1 unclear", scene: { ...two, giveUp: true, unknownPlace: true }, floor: 2_000 },
  { title: "both try once, 1 restart", scene: { ...two, tickets: 2, tries: [0, 1] }, floor: 2_500 },
  { title: "one tries once, expiry", scene: { ...two, tries: [0], expiry: true }, floor: 5_000 },
  { title: "settleMs, expiry", scene: { ...two, settleMs: 1000, expiry: true }, floor: 3_000 },
  { title: "settleMs, 1 restart each", scene: { ...two, tickets: 2, settleMs: 1000 }, floor: 18_000 },
  {
    title: "C resumes A's ticket after A's crash",
    scene: { ...three, resume: "inTime", expiry: [0, 1], crash: [0] },
    floor: 50_000,
  },
  ...(
    [
      [x, x, x],
      [x, x, s],
      [x, s, s],
    ] as const
  ).flatMap((modes): Staged[] => [
    { title: "no restart", scene: { ...three, modes }, floor: 50_000 },
    {
      title: "1 restart each, snapshot listing",
      scene: { ...three, modes, tickets: 2, listing: "snapshot" },
      orders: 2,
      floor: 50_000,
    },
    {
      title: "1 restart each, snapshot listing",
      scene: { ...three, modes, tickets: 2, listing: "snapshot" },
      floor: 3_000_000,
      full: true,
    },
    {
      title: "one expires, snapshot listing",
      scene: { ...three, modes, listing: "snapshot", expiry: [0] },
      floor: 50_000,
    },
    {
      title: "all may expire, snapshot listing",
      scene: { ...three, modes, listing: "snapshot", expiry: true },
      floor: 500_000,
      full: true,
    },
  ]),
  ...PERMITS,
  { title: "one expires", scene: { ...three, timestamps: 1, expiry: [0] }, floor: 100_000, full: true },
  { title: "one expires", scene: { ...three, expiry: [0] }, floor: 100_000, full: true },
  {
    title: "PUT -1 unclear, 1 restart each",
    scene: { ...two, tickets: 2, unknownPlace: true },
    floor: 2_000_000,
    full: true,
  },
  {
    title: "callers give up, PUT -1 unclear, 1 restart",
    scene: { ...two, tickets: 2, giveUp: true, unknownPlace: true },
    floor: 3_000_000,
    full: true,
  },
  {
    title: "a person breaks any ticket, 1 restart each",
    scene: { ...two, tickets: 2, breaker: true, beginApart: true },
    floor: 800_000,
    full: true,
  },
  {
    title: "expiry, late -0, 1 restart each",
    scene: { ...two, tickets: 2, expiry: true, lateDoors: 1 },
    floor: 100_000,
    full: true,
  },
  {
    title: "expiry, 2 restarts each",
    scene: { ...two, tickets: 3, expiry: true },
    orders: 4,
    floor: 100_000,
    full: true,
  },
  {
    title: "settleMs, expiry, 1 restart each",
    scene: { ...two, tickets: 2, settleMs: 1000, expiry: true },
    floor: 500_000,
    full: true,
  },
  {
    title: "one tries once, expiry, 1 restart each",
    scene: { ...two, tickets: 2, tries: [0], expiry: true },
    floor: 500_000,
    full: true,
  },
];
