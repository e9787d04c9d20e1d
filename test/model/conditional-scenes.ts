/**
 * The scenes of the conditional protocol that are explored whole, and for each rule the scene that shows why it is there.
 * `floor` is about half of what there is to visit: an explorer that explores nothing must not pass.
 */
import type { Mode } from "../../packages/lock/src/two-object/ticket.js";
import type { RecordScene } from "./conditional-scene.js";

export interface StagedRecord {
  readonly title: string;
  readonly scene: RecordScene;
  readonly floor: number;
  /** Only when BUCKETLOCK_EXPLORER=full asks for the long ones. */
  readonly full?: true;
}

const x: Mode = "exclusive";
const s: Mode = "shared";
const p: Mode = "permit";
const pair = { modes: [x, x], tickets: 1 } as const;
const three = { modes: [x, x, x], tickets: 1 } as const;
const three2 = { modes: [p, p, p], permits: [2, 2, 2], tickets: 1 } as const;

export const RECORD_SCENES: readonly StagedRecord[] = [
  {
    title: "cold; crash, give up, expiry, renewal, 1 answer lost",
    scene: { ...pair, cold: true, crash: true, giveUp: true, expiry: true, renewals: 1, lost: 1, impatience: true },
    floor: 150_000,
  },
  {
    title: "1 restart each; expiry, renewal, 1 answer lost",
    scene: { ...pair, tickets: 2, expiry: true, renewals: 1, lost: 1 },
    floor: 120_000,
  },
  {
    title: "releases ask first; crash, give up, expiry, renewal, 1 answer lost",
    scene: { ...pair, asksFirst: true, crash: true, giveUp: true, expiry: true, renewals: 1, lost: 1 },
    floor: 10_000,
  },
  {
    title: "1 restart each; expiry, renewal, 1 answer lost, impatience",
    scene: { ...pair, modes: [x, s], tickets: 2, expiry: true, renewals: 1, lost: 1, impatience: true },
    floor: 150_000,
    full: true,
  },
  {
    title: "cold; crash, give up, 2 answers lost",
    scene: { ...pair, cold: true, crash: true, giveUp: true, lost: 2 },
    floor: 20_000,
  },
  {
    title: "both try once; 1 restart, expiry, 1 answer lost",
    scene: { ...pair, tickets: 2, tries: [0, 1], expiry: true, lost: 1, cold: true },
    floor: 40_000,
  },
  {
    title: "the wait is over at any time; 1 restart, 1 answer lost",
    scene: { ...pair, tickets: 2, deadline: true, expiry: [0], lost: 1, cold: true },
    floor: 30_000,
  },
  { title: "all may expire, impatience", scene: { ...three, expiry: true, impatience: true }, floor: 50_000 },
  {
    title: "all may expire, one may crash, impatience",
    scene: { ...three, modes: [x, s, s], expiry: true, crash: [0], impatience: true },
    floor: 100_000,
  },
  {
    title: "one may expire, 1 answer lost, impatience",
    scene: { ...three, expiry: [0], lost: 1, impatience: true },
    floor: 50_000,
  },
  { title: "cold; give up, 1 answer lost", scene: { ...three, cold: true, giveUp: true, lost: 1 }, floor: 300_000 },
  {
    title: "in one process; renewals",
    scene: { ...three, modes: [s, s, x], oneProcess: true, renewals: 1 },
    floor: 12_000,
  },
  {
    title: "beside the other protocol (2 tickets); all troubles",
    scene: { modes: [x], tickets: 1, cold: true, beside: 2, lost: 1, crash: true, giveUp: true, expiry: true },
    floor: 40_000,
  },
  {
    title: "beside the other protocol; 1 answer lost",
    scene: { ...pair, cold: true, beside: 1, lost: 1 },
    floor: 40_000,
  },
  {
    title: "beside the other protocol; give up, expiry",
    scene: { ...pair, cold: true, beside: 1, giveUp: true, expiry: true },
    floor: 100_000,
  },
  {
    title: "2 permits; one may expire, impatience",
    scene: { ...three2, expiry: [0], impatience: true },
    floor: 10_000,
  },
  { title: "2 permits, cold; 1 answer lost", scene: { ...three2, cold: true, lost: 1 }, floor: 10_000 },
  {
    title: "2 or 3 permits; expiry, give up, 1 answer lost",
    scene: { ...pair, modes: [p, p], permits: [2, 3], expiry: true, giveUp: true, lost: 1 },
    floor: 500,
  },
  {
    title: "2 permits or a lock, cold; expiry, 1 answer lost",
    scene: { ...pair, modes: [p, x], permits: [2, undefined], cold: true, expiry: true, lost: 1 },
    floor: 1_000,
  },
  {
    title: "a person asks for the release; expiry, 1 answer lost",
    scene: { ...pair, asks: true, expiry: true, lost: 1 },
    floor: 10_000,
  },
  {
    title: "a ticket is passed on in a process; expiry, 1 answer lost",
    scene: { ...pair, draws: true, renewals: 1, expiry: true, lost: 1 },
    floor: 40_000,
  },
  {
    title: "a ticket is passed on twice in a process; expiry, 1 answer lost",
    scene: { ...pair, draws: true, renewals: 2, expiry: true, lost: 1 },
    floor: 250_000,
    full: true,
  },
  {
    title: "a ticket is found again; expiry, 1 answer lost, impatience",
    scene: { ...pair, resumes: true, expiry: true, lost: 1, impatience: true },
    floor: 30_000,
  },
  {
    title: "a person breaks a ticket; 1 restart, renewal, 1 answer lost",
    scene: { ...pair, breaks: true, tickets: 2, renewals: 1, lost: 1 },
    floor: 20_000,
  },
  {
    title: "2 permits; all may expire, one may crash, impatience",
    scene: { ...three2, expiry: true, crash: [0], impatience: true },
    floor: 300_000,
    full: true,
  },
  {
    title: "2 permits, cold; give up, 1 answer lost",
    scene: { ...three2, cold: true, giveUp: true, lost: 1 },
    floor: 300_000,
    full: true,
  },
  {
    title: "2 or 3 permits, 1 restart each; expiry, crash, give up, 1 answer lost",
    scene: { ...pair, modes: [p, p], permits: [2, 3], tickets: 2, expiry: true, crash: true, giveUp: true, lost: 1 },
    floor: 10_000,
    full: true,
  },
  {
    title: "2 permits or a lock, cold, 1 restart each; expiry, 1 answer lost",
    scene: { ...pair, modes: [p, x], permits: [2, undefined], tickets: 2, cold: true, expiry: true, lost: 1 },
    floor: 50_000,
    full: true,
  },
  {
    title: "a person asks for the release; expiry, renewal, 1 answer lost, impatience",
    scene: { ...pair, asks: true, expiry: true, renewals: 1, lost: 1, impatience: true },
    floor: 140_000,
    full: true,
  },
  {
    title: "2 answers lost, expiry, renewal, impatience",
    scene: { ...pair, lost: 2, expiry: true, renewals: 1, impatience: true },
    floor: 200_000,
    full: true,
  },
  {
    title: "2 answers lost, crash, expiry, renewal",
    scene: { ...pair, modes: [s, s], lost: 2, expiry: true, renewals: 1, crash: true },
    floor: 700_000,
    full: true,
  },
  {
    title: "all may expire, renewals, impatience",
    scene: { ...three, modes: [x, x, s], expiry: true, renewals: 1, impatience: true },
    floor: 300_000,
    full: true,
  },
  {
    title: "in one process; renewals, 1 answer lost",
    scene: { ...three, modes: [s, s, x], oneProcess: true, renewals: 1, lost: 1 },
    floor: 200_000,
    full: true,
  },
  {
    title: "beside the other protocol (2 tickets); crash, 1 answer lost",
    scene: { ...pair, modes: [x, s], cold: true, beside: 2, lost: 1, crash: true },
    floor: 200_000,
    full: true,
  },
  {
    title: "all may expire, 1 answer lost",
    scene: { ...three, expiry: true, lost: 1, impatience: true },
    floor: 400_000,
    full: true,
  },
];

export interface RecordMutant {
  readonly name: string;
  /** With every rule. */
  readonly scene: RecordScene;
  readonly without: Partial<RecordScene>;
  readonly found: RegExp;
}

export const RECORD_MUTANTS: readonly RecordMutant[] = [
  {
    name: "one more than the permits",
    scene: three2,
    without: { rules: { permitsCounted: false } },
    found: /3 hold a semaphore of 2|more hold than may/,
  },
  {
    name: "permits not compared",
    scene: { ...pair, modes: [p, p], permits: [2, 3] },
    without: { rules: { permitsCompared: false } },
    found: /both hold|count different permits/,
  },
  {
    name: "an unknown outcome taken for a conflict",
    scene: { ...pair, lost: 1, giveUp: true },
    without: { rules: { unknown: "conflict" } },
    found: /left behind/,
  },
  {
    name: "an unknown outcome taken for a success",
    scene: { ...pair, lost: 1 },
    without: { rules: { unknown: "stored" } },
    found: /both hold|token/,
  },
  {
    name: "no writeId: the same bytes have the same ETag",
    scene: { ...pair, expiry: true, lost: 1 },
    without: { contentEtags: true },
    found: /both hold/,
  },
  {
    name: "an empty record begun anew by the release",
    scene: pair,
    without: { rules: { keepToken: false } },
    found: /token/,
  },
  {
    name: "a renewal without If-Match",
    scene: { ...pair, renewals: 1, expiry: true },
    without: { rules: { renewUnderIfMatch: false } },
    found: /both hold|token|left behind/,
  },
  {
    name: "a token for who holds next by a ticket, not counted in the record",
    scene: { ...pair, draws: true, renewals: 1 },
    without: { rules: { drawnInRecord: false } },
    found: /token/,
  },
  {
    name: "a ticket found again with the token it had",
    scene: { ...pair, resumes: true },
    without: { rules: { drawnInRecord: false } },
    found: /token/,
  },
  {
    name: "what another granted believed without a claim",
    scene: { ...three, impatience: true },
    without: { rules: { claimGranted: false } },
    found: /both hold/,
  },
  {
    name: "the line left while a write of ours can still land",
    scene: { ...pair, lost: 1, giveUp: true },
    without: { rules: { burnUnclear: false } },
    found: /left behind/,
  },
  {
    name: "a new record believed without a LIST",
    scene: { modes: [x], tickets: 1, cold: true, beside: 1 },
    without: { rules: { confirmByList: false } },
    found: /both hold/,
  },
  {
    name: "a claim that came a lease too late",
    scene: { ...pair, expiry: true },
    without: { rules: { validAtClaim: false } },
    found: /both hold/,
  },
];
