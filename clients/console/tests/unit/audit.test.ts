import { expect, test } from "vitest";
import type { AuditRow } from "../../src/api/types";
import { deactivatedIds, newestFirst, targetKind, usersOf } from "../../src/audit";

test("who was deactivated of late is read from the audit trail: newest first, each once, and only what succeeded", () => {
  const row = (at: string, target: string | null, user_ids: string[] = [], status = 200) =>
    ({ id: at, at, target, parameters: { user_ids }, status }) as unknown as AuditRow;
  const [a, b, c] = ["a", "b", "c"].map((digit) => `660e8400-e29b-41d4-a716-44665544000${digit}`) as [string, string, string];
  const records = [row("2026-03-31T11:00:00Z", a), row("2026-03-31T11:00:00.120Z", null, [b, "no id", a]), row("2026-03-31T11:30:00Z", c, [], 409), { id: "gone", missing: true as const }];

  expect(deactivatedIds(records)).toEqual([b, a]);
});

test("the target of a record is a user, a task or an execution by its action, and only users are looked up as such", () => {
  const row = (action: string, target: string | null, user_ids: string[] = []) =>
    ({ id: action, at: "2026-03-31T10:00:00Z", action, target, parameters: { user_ids }, principal: { user_id: "admin" } }) as unknown as AuditRow;
  const kinds = ["users.deactivate", "users.read", "tasks.read", "executions.read", "later.read"].map((action) => targetKind({ action }));
  expect(kinds).toEqual(["User", "User", "Task", "Execution", null]);

  const records = [row("users.read", "u1"), row("users.deactivate_many", null, ["u2", "u3"]), row("tasks.read", "t1"), row("executions.read", "e1"), row("stats.read", null), { id: "gone", missing: true as const }];
  expect(new Set(usersOf(records))).toEqual(new Set(["admin", "u1", "u2", "u3"]));
});

test("a removed record stands at the end of its hour, which its id begins with", () => {
  const row = (at: string) => ({ id: at, at }) as AuditRow;
  const gone = { id: "2026112808-9f86d081884c-0", missing: true as const };
  const [ten, half, seven] = [row("2026-11-28T10:00:00Z"), row("2026-11-28T08:00:00Z"), row("2026-11-28T07:59:59.999Z")];
  expect(newestFirst([seven, gone, ten, half])).toEqual([ten, half, gone, seven]);
});

test("records of one second are in the order of their times, with and without milliseconds", () => {
  const row = (at: string) => ({ id: at, at }) as AuditRow;
  const [whole, later] = [row("2026-11-28T08:00:00Z"), row("2026-11-28T08:00:00.120Z")];
  const gone = { id: "2026112808-9f86d081884c-0", missing: true as const };
  const unknown = { id: "of another form", missing: true as const };
  expect(newestFirst([unknown, whole, gone, { ...unknown }, later])).toEqual([later, whole, gone, unknown, unknown]);
});
