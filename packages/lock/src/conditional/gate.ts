/**
 * The gate before the conditional protocol: nothing passes on a store of which only a probe can tell, unless its probe
 * passed. Probes once for a set of locks, when the first of them is asked for. Decides nothing itself: the report does.
 */
import { type ProbeReport, probe, type Store } from "@bucketlock/core";
import { unlessAborted } from "../patience.js";
import type { Settings } from "../settings.js";
import { withForm } from "./bare-etags.js";
import { admit } from "./probed.js";

export class Gate {
  /** The store to use, when that is known. */
  ready: Store | undefined;
  /** The report that let it through, where one was needed. */
  report: ProbeReport | undefined;
  readonly #store: Store;
  readonly #settings: Settings;
  readonly #closing: AbortSignal;
  readonly #watch: (underway: Promise<void>) => void;
  #probing: Promise<ProbeReport> | undefined;

  /** `watch` is told of a probe under way: it ends by itself when `closing` aborts, and must be waited for. */
  constructor(store: Store, settings: Settings, closing: AbortSignal, watch: (underway: Promise<void>) => void) {
    this.#store = store;
    this.#settings = settings;
    this.#closing = closing;
    this.#watch = watch;
    const { protocol, probed } = settings;
    if (protocol !== "conditional") this.ready = store;
    else if (probed !== undefined) this.#admit(probed);
    else if (store.features.conditionalWrites !== "unknown") this.ready = store;
  }

  /**
   * Throws PROTOCOL_UNSAFE with the probe's reasons, each time again without a request; an error of the store, or the
   * signal's reason: then the next call probes again, or waits for the probe that is under way still.
   */
  async open(signal: AbortSignal | undefined): Promise<Store> {
    if (this.ready !== undefined) return this.ready;
    signal?.throwIfAborted();
    const report = await unlessAborted(this.#probe(), signal);
    return this.ready ?? this.#admit(report);
  }

  /** A DELETE under an ETag holds here: as far as is known for certain. */
  get deletesIf(): boolean {
    return this.#store.features.conditionalWrites === "yes" || this.report?.conditions.onDelete === "honoured";
  }

  #admit(report: ProbeReport): Store {
    this.ready = withForm(this.#store, admit(report, this.#store));
    this.report = report;
    return this.ready;
  }

  #probe(): Promise<ProbeReport> {
    if (this.#probing !== undefined) return this.#probing;
    const { clock, random } = this.#settings;
    // Not by the caller's signal: others wait for the same probe.
    const probing = probe(this.#store, { signal: this.#closing, clock, random });
    this.#probing = probing;
    this.#watch(
      probing.then(
        () => {},
        () => {
          // That nobody answered says nothing about the bucket.
          this.#probing = undefined;
        },
      ),
    );
    return probing;
  }
}
