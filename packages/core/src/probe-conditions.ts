/**
 * What a probe's conditional writes and races mean: honoured, ignored, misreported, atomic or not. Pure. A success that
 * the store reports counts for nothing before a read has shown it, a failure for nothing before a read has shown none.
 */
import type { ConditionsSeen, Observations, RoundSeen, WriteSeen } from "./probe-observations.js";
import type { ConditionsReport, Finding } from "./probe-report.js";

/** The form of the ETag that replaces: as the store gave it if that works, else without its quotes. */
export function bestForm(seen: ConditionsSeen | undefined): "asGiven" | "bare" | undefined {
  if (seen === undefined) return undefined;
  if (isDone(seen.replaceAsGiven)) return "asGiven";
  return isDone(seen.replaceBare) ? "bare" : undefined;
}

export function judgeConditions(seen: Observations): ConditionsReport {
  const { conditions, rounds } = seen;
  const form = bestForm(conditions);
  const tried = conditions?.replaceAsGiven !== undefined;
  const both = isDone(conditions?.replaceAsGiven) && isDone(conditions?.replaceBare);
  const done = form === undefined ? "never" : both ? "both" : form === "bare" ? "bareOnly" : "asGiven";
  return {
    losers: losersOf(seen),
    // A session that strips the quotes itself shows only what becomes of the bare form.
    ifMatch: !tried ? "untried" : seen.bareIfMatch && done !== "never" ? "bareOnly" : done,
    notModified: conditions?.notModified ?? "untried",
    onDelete: seen.conditionalDelete,
    races: {
      racers: seen.racers,
      rounds: rounds.length,
      oneWinner: rounds.filter((round) => judgeRound(round) === "one").length,
      withoutWinner: rounds.filter((round) => judgeRound(round) === "none").length,
    },
  };
}

export function losersOf({ conditions, rounds }: Observations): ConditionsReport["losers"] {
  const refusals = [conditions?.createAgain, conditions?.replaceStale, conditions?.replaceMissing];
  const unclear = refusals.some((write) => write?.said === "unknown") || rounds.some(({ unknown }) => unknown > 0);
  if (unclear) return "unclear";
  return refusals.some((write) => write?.said === "conflict") ? "refused" : "untold";
}

/** Everything that makes single conditional writes unfit, one after the other, without any race. */
export function conditionFaults({ conditions, versions, rights }: Observations): Finding[] {
  if (conditions === undefined) {
    // A missing right is a reason of its own.
    const denied = rights.put === "denied" || rights.get === "denied";
    return denied
      ? []
      : [
          {
            code: "CONDITIONS_UNTRIED",
            text: "conditional writes could not be tried: what a probe writes it must be allowed to delete",
          },
        ];
  }
  const { create, createAgain, createAfterDelete } = conditions;
  if (create.said === "refused") return [refused("a create (If-None-Match: *)", create)];
  if (!create.landed && create.said !== "stored")
    return [{ code: "CREATE_FAILS", text: `a create of a key that was never there did not succeed${said(create)}` }];
  const found = [
    ...misreported("a create of a key that was never there", create),
    ...mustNotLand("a create of a key that is there", createAgain, versions),
    ...replaceFaults(conditions, versions),
  ];
  if (createAfterDelete !== undefined && !isDone(createAfterDelete) && found.length === 0)
    found.push({
      code: "CREATE_AFTER_DELETE_FAILS",
      text: `a create of a key that was deleted did not succeed${said(createAfterDelete)}`,
    });
  // One broken rule breaks several experiments: told once.
  return found.filter(({ code }, at) => found.findIndex((other) => other.code === code) === at);
}

function replaceFaults(seen: ConditionsSeen, versions: Observations["versions"]): Finding[] {
  if (!seen.hasEtag) return [{ code: "NO_ETAG", text: "objects have no ETag: there is nothing to put into If-Match" }];
  const { replaceAsGiven, replaceBare, replaceStale, replaceMissing } = seen;
  const found = [replaceAsGiven, replaceBare].flatMap((write) => misreported("a replace of the present ETag", write));
  if (found.length > 0) return found;
  if (bestForm(seen) === undefined) {
    if (replaceAsGiven?.said === "refused") return [refused("a replace (If-Match)", replaceAsGiven)];
    return [
      {
        code: "REPLACE_FAILS",
        text: `If-Match never matches the present ETag, with its quotes or without${said(replaceAsGiven)}`,
      },
    ];
  }
  return [
    ...mustNotLand("a replace of an ETag of before", replaceStale, versions),
    ...mustNotLand("a replace of a key that is not there", replaceMissing, versions),
  ];
}

/** Races: only an honest store with exactly one winner in every round passes. */
export function raceFaults({ rounds, racers }: Observations): Finding[] {
  const found: Finding[] = [];
  for (const race of ["create", "replace"] as const) {
    const of = rounds.filter((round) => round.race === race);
    const bad = of.filter((round) => judgeRound(round) === "several");
    const none = of.filter((round) => judgeRound(round) === "none");
    if (of.length === 0) found.push({ code: "RACES_UNTRIED", text: `no ${race} race was run` });
    else if (bad.length > 0) {
      const most = Math.max(...bad.map(({ stored }) => stored));
      found.push({
        code: "NOT_ATOMIC",
        text: `in ${bad.length} of ${of.length} ${race} races of ${racers} writers not exactly one won: up to ${most} were told so${most > 1 ? "" : ", or another's body was there at the end"}`,
      });
    } else if (none.length * 2 > of.length)
      found.push({
        code: "RACES_UNDECIDED",
        text: `${none.length} of ${of.length} ${race} races had no winner at all: the store refuses writers that collide, and its atomicity could not be seen`,
      });
  }
  return found;
}

/** `one`: exactly one writer won, and its body is what is there. */
export function judgeRound(round: RoundSeen): "one" | "none" | "several" {
  if (round.stored > 1) return "several";
  if (round.stored === 1) return round.final === "stored" ? "one" : "several";
  // Nobody was told: the winner's answer was lost or unclear.
  if (round.final === "unknown") return "one";
  return round.final === "none of ours" ? "none" : "several";
}

/** It should have been written, and a read shows that it was. */
export function isDone(write: WriteSeen | undefined): boolean {
  return write?.landed === true && (write.said === "stored" || write.said === "unknown");
}

/** The answer says one thing, the read another. */
function misreported(what: string, write: WriteSeen | undefined): Finding[] {
  if (write === undefined) return [];
  const code = "ANSWER_CONTRADICTS_READ";
  if (write.said === "stored" && !write.landed)
    return [{ code, text: `${what} was answered with success, but a read shows that it was not written` }];
  if (write.said === "conflict" && write.landed)
    return [{ code, text: `${what} was answered with a conflict, but a read shows that it was written` }];
  return [];
}

function mustNotLand(what: string, write: WriteSeen | undefined, versions: Observations["versions"]): Finding[] {
  if (write === undefined) return [];
  if (write.landed && write.said !== "conflict") {
    if (versions === "kept")
      return [
        {
          code: "CONDITIONS_IGNORED_WITH_VERSIONS",
          text: `${what} was written all the same: the condition is silently ignored on this bucket, which keeps versions`,
        },
      ];
    return [
      {
        code: "CONDITIONS_IGNORED",
        text: `${what} was written all the same${said(write)}: the condition is silently ignored`,
      },
    ];
  }
  if (write.said === "refused")
    return [
      {
        code: "CONDITION_ANSWER_WRONG",
        text: `${what} was refused, but with a wrong answer${said(write)} where 412 is due`,
      },
    ];
  return misreported(what, write);
}

function refused(what: string, write: WriteSeen): Finding {
  const denied = write.code === "STORE_ACCESS_DENIED";
  return {
    code: denied ? "RIGHT_MISSING" : "CONDITIONS_REFUSED",
    text: denied
      ? `these keys may not send ${what}${said(write)}`
      : `the store refuses ${what}${said(write)}: an honest no`,
  };
}

function said({ said: outcome, code }: WriteSeen = { said: "unknown", landed: false }): string {
  return code === undefined ? ` (${outcome})` : ` (${outcome}: ${code})`;
}
