/**
 * A store that writes down every request on its way to another store. Changes nothing about them.
 */
import type { Store } from "../store.js";
import { InterceptedStore, type StoreCall, type StoreVerb } from "./intercept.js";

export class RecordingStore extends InterceptedStore {
  /** Every request so far, in the order in which they were made. Each page of a listing is one. */
  readonly calls: StoreCall[] = [];

  constructor(inner: Store) {
    super(inner, (call, options, run) => {
      this.calls.push(call);
      return run(options);
    });
  }

  /** How many requests so far; with a verb, of that kind. */
  count(verb?: StoreVerb): number {
    return verb === undefined ? this.calls.length : this.calls.filter((call) => call.verb === verb).length;
  }

  /** The verbs in order: what a test compares with the request sequence that the protocol states. */
  get verbs(): readonly StoreVerb[] {
    return this.calls.map((call) => call.verb);
  }

  /** Forgets what was recorded. */
  clear(): void {
    this.calls.length = 0;
  }
}
