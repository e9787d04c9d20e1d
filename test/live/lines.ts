/**
 * What a contender tells, line by line: the words shared by the worker that writes them and the campaign that reads them.
 * A lease is told by its ticket; one that its process passed on or joined by `<ticket>~<number>`, from 2.
 * All instants are ms of CLOCK_MONOTONIC, which every process of one host shares. Decides nothing.
 */
import type { ProbeReport } from "@bucketlock/core";
import type { Mode } from "@bucketlock/lock";

export type Protocol = "two-object" | "conditional";

export type How = "acquire" | "shortWait" | "abort" | "try";

export type Line =
  | { readonly event: "hello" }
  | { readonly event: "ask"; readonly key: string; readonly mode: Mode; readonly how: How; readonly at: number }
  /** The PUT of `-0` is about to be sent for the first time, or the next try to write the ticket into the record. */
  | { readonly event: "door"; readonly ticket: string; readonly at: number }
  /** The PUT of `-1`, or the one that wrote the ticket into the record, was answered: stored. */
  | { readonly event: "place"; readonly ticket: string; readonly at: number }
  /** `until`: the end of the lease, its margin included, as the holder knows it now. Never later than the truth. */
  | {
      readonly event: "got";
      readonly key: string;
      readonly mode: Mode;
      readonly ticket: string;
      /** Of a semaphore. */
      readonly permits?: number;
      readonly at: number;
      /** Absent: a client whose lock never ends by itself. */
      readonly until?: number;
    }
  | { readonly event: "renewed"; readonly ticket: string; readonly at: number; readonly until: number }
  /** The fencing token, in digits. */
  | { readonly event: "token"; readonly ticket: string; readonly token: string; readonly at: number }
  /** `throwIfLost` did not throw, and was called after `at`. */
  | { readonly event: "touch"; readonly ticket: string; readonly at: number }
  /** `ranAt`: the last instant at which the process certainly ran and had not told yet. */
  | {
      readonly event: "lost";
      readonly ticket: string;
      readonly at: number;
      readonly ranAt: number;
      readonly why: string;
    }
  /** Heard that somebody asks for the release. */
  | { readonly event: "asked"; readonly ticket: string; readonly at: number }
  /** From now on the holder claims nothing; its objects go next. */
  | { readonly event: "ending"; readonly ticket: string; readonly at: number }
  | { readonly event: "gaveUp"; readonly how: How }
  | { readonly event: "tookOver"; readonly victim: string; readonly at: number }
  | { readonly event: "withdrew"; readonly ticket: string; readonly why: string }
  /** An error that is neither "another holds it" nor our own abort nor a lost lease. */
  | {
      readonly event: "trouble";
      readonly where: string;
      readonly kind: string;
      readonly text: string;
      /** For so long, in ms, the machine did not let the process run while it came to this. */
      readonly heldUpMs?: number;
    }
  /** Everything is closed; the process ends by itself. `requests` so far stand in every `ask` too. */
  | { readonly event: "bye"; readonly requests: number };

/** What a contender is told, as JSON in its first argument. */
export interface ContenderOrders {
  readonly store:
    | {
        readonly kind: "s3";
        readonly endpoint: string;
        readonly region: string;
        readonly bucket: string;
        readonly accessKeyId: string;
        readonly secretAccessKey: string;
      }
    | { readonly kind: "file"; readonly dir: string }
    | {
        readonly kind: "b2";
        readonly endpoint: string;
        readonly bucket: string;
        readonly applicationKeyId: string;
        readonly applicationKey: string;
      };
  /** Default: two-object. */
  readonly protocol?: Protocol | undefined;
  /** For conditional on a server: the bucket's probe, so that not every contender probes again. */
  readonly probed?: ProbeReport | undefined;
  readonly keys: readonly string[];
  readonly seed: number;
  readonly leaseMs: number;
  readonly settleMs: number;
  /** 0 to 1: how many attempts are shared. */
  readonly sharedShare: number;
  /** 0 to 1: how many attempts may be aborted, cut short or only tried. The rest wait patiently. */
  readonly impatientShare: number;
  /** 0 to 1: how many leases are asked for their fencing token. */
  readonly tokenShare: number;
  /** Programs of the process that take turns on the same locks. Default: 1. */
  readonly locals?: number | undefined;
  /** Every key is a semaphore of so many, and now and then somebody asks its holders to release. Default: locks. */
  readonly permits?: number | undefined;
  /** Breaks others' live tickets: what the judge must notice. */
  readonly cheats: boolean;
}
