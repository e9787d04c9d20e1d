/**
 * Whether a bucket may be used by the conditional protocol, from the report of its probe; and the refusal with its reasons.
 * Pure; it probes nothing itself.
 */
import { BucketlockError, InvalidError, type ProbeReport, type Store } from "@bucketlock/core";

/** How ETags must be sent so that this bucket honours them. */
export interface EtagForm {
  readonly bareInWrites: boolean;
  readonly bareInReads: boolean;
}

/** The `probed` option: a report of this bucket. Throws InvalidError. */
export function checkProbed(value: ProbeReport | undefined, store: Store): ProbeReport | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "object" || value?.format !== 1 || typeof value.protocols?.conditional?.safe !== "boolean")
    throw new InvalidError("probed", "must be the report of a probe", value);
  if (bucketOf(value.store) !== bucketOf(store.name))
    throw new InvalidError("probed", `must be the report of this bucket (${bucketOf(store.name)})`, value.store);
  return value;
}

/** Throws PROTOCOL_UNSAFE with every reason of the report; answers how ETags go. */
export function admit(report: ProbeReport, store: Store): EtagForm {
  const { safe, reasons } = report.protocols.conditional;
  const { ifMatch, notModified } = report.conditions;
  const sendsBare = store.features.bareIfMatch === true;
  // Probed as opened otherwise than now.
  const misfit =
    sendsBare && ifMatch === "asGiven"
      ? [
          {
            code: "ETAG_QUOTES",
            text: "If-Match is honoured only with the quotes of the ETag: open without bareIfMatch",
          },
        ]
      : [];
  const all = [...reasons, ...misfit];
  if (!safe || misfit.length > 0) {
    throw new BucketlockError(
      `protocol "conditional" is not safe on ${bucketOf(store.name)}: ${all.map(({ text }) => text).join("; ")}`,
      {
        code: "PROTOCOL_UNSAFE",
        kind: "unsupported",
        details: { store: store.name, reasons: all, changes: report.changes, probedAt: report.probedAt },
      },
    );
  }
  return { bareInWrites: ifMatch === "bareOnly" && !sendsBare, bareInReads: notModified === "bare" };
}

/** Another prefix of the same bucket, or another way to it, is the same bucket. */
function bucketOf(name: string): string {
  return /^[a-z0-9]+:\/\/[^/]*/.exec(name)?.[0] ?? name;
}
