import { expect, test } from "vitest";
import type { AuditRow } from "../../src/api/types";
import { deactivatedIds } from "../../src/audit";

test("who was deactivated of late is read from the audit trail: newest first, each once, and only what succeeded", () => {
  const row = (at: string, target: string | null, user_ids: string[] = [], status = 200) =>
    ({ id: at, at, target, parameters: { user_ids }, status }) as unknown as AuditRow;
  const [a, b, c] = ["a", "b", "c"].map((digit) => `660e8400-e29b-41d4-a716-44665544000${digit}`) as [string, string, string];
  const records = [row("2026-03-31T10:00:00Z", a), row("2026-03-31T11:00:00Z", null, [b, "no id", a]), row("2026-03-31T11:30:00Z", c, [], 409), { id: "gone", missing: true as const }];

  expect(deactivatedIds(records)).toEqual([b, a]);
});
