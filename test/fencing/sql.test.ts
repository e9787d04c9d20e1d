/** The SQL of docs/fencing.md, as it stands there, on a real SQLite (sql.js): which token writes, and which one is refused. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createMemoryStore } from "@bucketlock/core";
import { createLocks } from "@bucketlock/lock";
import { beforeEach, describe, expect, test } from "vitest";

// The package brings no types; this is what is used of it.
interface Database {
  run(sql: string, values?: Record<string, string>): void;
  exec(sql: string): { values: unknown[][] }[];
  getRowsModified(): number;
}
const initSqlJs = createRequire(import.meta.url)("sql.js") as () => Promise<{ Database: new () => Database }>;

const page = readFileSync(new URL("../../docs/fencing.md", import.meta.url), "utf8");
const statements = [...page.matchAll(/^```sql\n([\s\S]*?)^```$/gm)].map((match) => match[1]!.trim());
const [reports, update, updateOnce, upsert, fences, raise] = statements as [
  string,
  string,
  string,
  string,
  string,
  string,
];

let database: Database;
beforeEach(async () => {
  database = new (await initSqlJs()).Database();
  database.run(reports);
  database.run(fences);
});

/** How many rows the statement changed. */
function run(sql: string, token: bigint, id: string, body?: string): number {
  database.run(sql, { $1: String(token), $2: id, ...(body !== undefined && { $3: body }) });
  return database.getRowsModified();
}
const rows = (table: string) => database.exec(`SELECT *, typeof(token) FROM ${table}`)[0]?.values;

test("the page has the statements that are tested here", () => {
  expect(statements).toHaveLength(6);
  expect(update).toContain("token <= $1");
  expect(updateOnce).toContain("token < $1");
});

describe("UPDATE", () => {
  test("changes nothing under a lower token, and everything else as told", () => {
    database.run("INSERT INTO reports (id, body) VALUES ('today', 'empty')");
    expect(run(update, 3n, "today", "a")).toBe(1);
    expect(run(update, 3n, "today", "b")).toBe(1);
    expect(run(update, 5n, "today", "c")).toBe(1);
    expect(run(update, 4n, "today", "late")).toBe(0);
    expect(run(update, 6n, "no such row", "x")).toBe(0);
    expect(rows("reports")).toEqual([["today", "c", 5, "integer"]]);
  });

  test("with < a holder writes a row once", () => {
    database.run("INSERT INTO reports (id, body) VALUES ('today', 'empty')");
    expect(run(updateOnce, 3n, "today", "a")).toBe(1);
    expect(run(updateOnce, 3n, "today", "again")).toBe(0);
    expect(run(updateOnce, 2n, "today", "late")).toBe(0);
    expect(run(updateOnce, 4n, "today", "b")).toBe(1);
  });

  test("compares numbers, not text, up to 64 bits", () => {
    database.run("INSERT INTO reports (id, body) VALUES ('today', 'empty')");
    const high = 2n ** 63n - 1n;
    expect(run(update, 9n, "today", "a")).toBe(1);
    expect(run(update, 10n, "today", "b")).toBe(1);
    expect(run(update, high - 1n, "today", "c")).toBe(1);
    expect(run(update, high, "today", "d")).toBe(1);
    expect(run(update, high - 1n, "today", "late")).toBe(0);
  });
});

test("INSERT ON CONFLICT makes the row, and refuses a lower token", () => {
  expect(run(upsert, 3n, "today", "a")).toBe(1);
  expect(run(upsert, 5n, "today", "b")).toBe(1);
  expect(run(upsert, 4n, "today", "late")).toBe(0);
  expect(rows("reports")).toEqual([["today", "b", 5, "integer"]]);
});

test("the lock's own row fences a whole transaction", () => {
  expect(run(raise, 3n, "reports")).toBe(1);
  expect(run(raise, 3n, "reports")).toBe(1);
  expect(run(raise, 5n, "reports")).toBe(1);
  database.run("BEGIN");
  const raised = run(raise, 4n, "reports");
  database.run("INSERT INTO reports (id, body) VALUES ('never touched before', 'late')");
  database.run(raised === 0 ? "ROLLBACK" : "COMMIT");
  expect(rows("reports")).toBeUndefined();
});

test("a paused holder's late statement is refused", async () => {
  const locks = createLocks(createMemoryStore());
  const first = await locks.lock("reports").acquire();
  const token = await first.token();
  run(upsert, token, "today", "one");
  // Another host broke the lock of the paused one.
  await locks.lock("reports").breakLock({ olderThanMs: 0 });
  await locks.lock("reports").run(async (lease) => {
    expect(run(upsert, await lease.token(), "today", "two")).toBe(1);
  });
  expect(run(upsert, token, "today", "late")).toBe(0);
  await locks.close().catch(() => {});
});
