/**
 * What a member keeps alive: one object, rewritten by the keeper as a ticket's doorway is. Decides nothing.
 */
import type { CallOptions, DeleteTarget, PutAnswer, Store } from "@bucketlock/core";
import type { HeldTicket, Renewal, RenewalCall } from "./held-ticket.js";
import { memberKey } from "./member-rule.js";
import { Revocation } from "./revocation.js";
import { deleteAll, versionsOrObjects } from "./two-object/deletes.js";
import { HOLDER, RENEWAL } from "./two-object/objects.js";
import type { Mode } from "./two-object/ticket.js";

export class MemberTicket implements HeldTicket {
  /** Nobody asks a member to leave but by removing its object. */
  readonly revocation: Revocation;
  readonly #store: Store;
  readonly #text: string;
  readonly #label: string;
  readonly #objectKey: string;
  /** Versions known to exist, where the store keeps them. */
  #versions: DeleteTarget[] = [];
  /** Some write may have landed without our knowing its version. */
  #unclear = false;

  /** `key`: of the members. */
  constructor(
    store: Store,
    readonly key: string,
    readonly id: string,
    label: string,
    text: string,
  ) {
    this.#store = store;
    this.#label = label;
    this.#text = text;
    this.#objectKey = memberKey(key, id);
    this.revocation = new Revocation(key, id);
  }

  get mode(): Mode {
    return "shared";
  }

  async put(renewal: number, options: CallOptions & { validForMs?: number }): Promise<PutAnswer> {
    const metadata = { [HOLDER]: this.#label, [RENEWAL]: String(renewal) };
    try {
      // Once each time: a retry that lands late would bring back a sign of life of the dead.
      const answer = await this.#store.put(this.#objectKey, this.#text, {
        ...options,
        metadata,
        once: true,
        contentType: "application/json",
      });
      if (answer.outcome === "stored" && answer.versionId !== undefined)
        this.#versions.push({ key: this.#objectKey, versionId: answer.versionId });
      if (answer.outcome !== "stored") this.#unclear = true;
      return answer;
    } catch (error) {
      this.#unclear = true;
      throw error;
    }
  }

  /** HEAD (gone: a person, or whoever took us for dead, removed it), then PUT. */
  async renew(call: RenewalCall): Promise<Renewal> {
    const head = await this.#store.head(this.#objectKey, { ...call.limit(), signal: call.stop });
    if (!head.found) return { is: "gone" };
    if (!call.mayWrite()) return { is: "stopped" };
    const sentAtMs = call.nowMs();
    const limit = call.limit();
    const put = await this.put(call.renewals, { ...limit, validForMs: limit.timeoutMs });
    if (put.outcome === "stored") return { is: "renewed", sentAtMs };
    return { is: "unclear", cause: put.outcome === "unknown" ? put.cause : put };
  }

  /** On a store that keeps versions: those before the newest go. */
  async afterRenewal(options: CallOptions): Promise<void> {
    const old = this.#versions.slice(0, -1);
    if (old.length === 0) return;
    await deleteAll(this.#store, old, options);
    this.#versions = this.#versions.filter((version) => !old.includes(version));
  }

  async token(): Promise<bigint> {
    throw new Error("bug: a member excludes nobody, so it has no fencing token");
  }

  nextTurn(): void {}

  async isThere(options: CallOptions): Promise<boolean> {
    return (await this.#store.head(this.#objectKey, options)).found;
  }

  async delete(options: CallOptions): Promise<void> {
    const isVersioned = this.#store.features.versions !== "no";
    const targets =
      isVersioned && (this.#unclear || this.#versions.length === 0)
        ? await versionsOrObjects(this.#store, [{ key: this.#objectKey }], options)
        : this.targets();
    await deleteAll(this.#store, targets, options);
  }

  targets(): DeleteTarget[] {
    return this.#versions.length > 0 && !this.#unclear ? [...this.#versions] : [{ key: this.#objectKey }];
  }
}
