/**
 * The rule by which a two-object token is drawn, explored in every interleaving: holders in line, listings that are no snapshots,
 * markers that land late, live tickets broken at any moment by somebody who writes no marker, sweeps. No clock takes part. It is a model
 * of `TicketObjects.token`, not that code; token.test.ts drives the code.
 */
import { describe, expect, it } from "vitest";

interface Rules {
  /** The markers are listed anew inside the held lock; else those of the deciding listing count. */
  readonly freshList: boolean;
  /** After its marker is written, the ticket must still be there. */
  readonly headAfter: boolean;
}

/** One holder in line. `read` and `high`: how far a listing of the markers came, and what it saw. */
interface Actor {
  readonly at: "decide" | "held" | "list" | "put" | "head" | "token" | "sweep" | "over";
  readonly read: number;
  readonly high: number;
  readonly sawTickets: boolean;
  readonly sawMarkers: boolean;
  readonly token: number;
}
interface World {
  readonly tickets: readonly boolean[];
  /** By number; index 0 is not used. */
  readonly markers: readonly boolean[];
  readonly actors: readonly Actor[];
}

const START: Actor = { at: "decide", read: 0, high: 0, sawTickets: false, sawMarkers: false, token: 0 };

function* steps(world: World, rules: Rules): Generator<World> {
  const { tickets, markers, actors } = world;
  const top = markers.length - 1;
  const set = <T>(list: readonly T[], at: number, value: T): T[] =>
    list.map((old, index) => (index === at ? value : old));
  const highest = markers.lastIndexOf(true, top) < 1 ? 0 : markers.lastIndexOf(true, top);

  for (const [me, actor] of actors.entries()) {
    const become = (next: Partial<Actor>, more: Partial<World> = {}): World => ({
      ...world,
      ...more,
      actors: set(actors, me, { ...actor, ...next }),
    });
    // Somebody removes the ticket, alive or not, and its owner is told nothing.
    if (tickets[me]) yield { ...world, tickets: set(tickets, me, false) };

    switch (actor.at) {
      case "decide": {
        // The deciding LIST reads tickets and markers at different times, in either order.
        const isFirst = tickets.slice(0, me).every((there) => !there);
        const held = (next: Partial<Actor>) =>
          (next.sawTickets ?? actor.sawTickets) && (next.sawMarkers ?? actor.sawMarkers) ? "held" : "decide";
        if (!actor.sawTickets && isFirst) yield become({ sawTickets: true, at: held({ sawTickets: true }) });
        if (!actor.sawTickets && !isFirst) yield become(START);
        if (!actor.sawMarkers) yield become({ sawMarkers: true, high: highest, at: held({ sawMarkers: true }) });
        break;
      }
      case "held":
        // Its own ticket was in that listing; it may be broken since.
        yield become({ at: rules.freshList ? "list" : "put", read: 0 });
        break;
      case "list": {
        // One marker at a time, in any order: `read` holds a bit for each.
        for (let number = 1; number <= top; number++) {
          if ((actor.read & (1 << number)) !== 0) continue;
          const read = actor.read | (1 << number);
          const high = markers[number] ? Math.max(actor.high, number) : actor.high;
          yield become({ read, high, at: read === 2 ** (top + 1) - 2 ? "put" : "list" });
        }
        break;
      }
      case "put": {
        const token = actor.high + 1;
        // It lands whenever it likes: every step of the others may come before this one.
        if (token <= top)
          yield become({ token, at: rules.headAfter ? "head" : "token" }, { markers: set(markers, token, true) });
        break;
      }
      case "head":
        yield become(tickets[me] ? { at: "token" } : { at: "over", token: 0 });
        break;
      case "token":
        // Released: first its ticket goes, then the markers below its own.
        yield become({ at: "sweep" }, { tickets: set(tickets, me, false) });
        break;
      case "sweep":
        for (let number = 1; number < actor.token; number++)
          if (markers[number]) yield { ...world, markers: set(markers, number, false) };
        break;
      case "over":
        break;
    }
  }
}

/** Tokens that were made known and do not rise with the line. */
function isWrong({ actors }: World): boolean {
  const known = actors.filter(({ at }) => at === "token" || at === "sweep").map(({ token }) => token);
  return known.some((token, index) => index > 0 && token <= known[index - 1]!);
}

function explore(holders: number, markerMax: number, rules: Rules): { states: number; wrong: number; drawn: number } {
  const first: World = {
    tickets: Array<boolean>(holders).fill(true),
    markers: Array<boolean>(markerMax + 1).fill(false),
    actors: Array<Actor>(holders).fill(START),
  };
  const keyOf = ({ tickets, markers, actors }: World) =>
    `${tickets.map(Number).join("")} ${markers.map(Number).join("")} ${actors
      .map(
        (one) =>
          `${one.at}${one.read},${one.high},${one.token}${one.sawTickets ? "t" : ""}${one.sawMarkers ? "m" : ""}`,
      )
      .join(" ")}`;
  const seen = new Set([keyOf(first)]);
  const open = [first];
  let wrong = 0;
  let drawn = 0;
  for (let world = open.pop(); world !== undefined; world = open.pop()) {
    if (isWrong(world)) {
      wrong++;
      continue;
    }
    if (world.actors.every(({ at }) => at === "token" || at === "sweep")) drawn++;
    for (const next of steps(world, rules)) {
      const key = keyOf(next);
      if (seen.has(key)) continue;
      seen.add(key);
      open.push(next);
    }
  }
  return { states: seen.size, wrong, drawn };
}

describe("tokens rise with the line in every interleaving", () => {
  it.each([
    [2, 3],
    [3, 3],
  ])("%i holders, %i markers", { timeout: 60_000 }, (holders, markers) => {
    const { states, wrong, drawn } = explore(holders, markers, { freshList: true, headAfter: true });
    console.log(`${holders} holders: ${states} states`);
    expect(wrong).toBe(0);
    // All of them got one somewhere: the rule does not win by refusing everybody.
    expect(drawn).toBeGreaterThan(0);
  });

  it.each<[string, Rules]>([
    ["without the fresh listing", { freshList: false, headAfter: true }],
    ["without the look at the ticket", { freshList: true, headAfter: false }],
    ["without both", { freshList: false, headAfter: false }],
  ])("%s two get the same token", (_what, rules) => {
    expect(explore(2, 3, rules).wrong).toBeGreaterThan(0);
  });
});
