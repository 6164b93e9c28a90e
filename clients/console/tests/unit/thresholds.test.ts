import { expect, test } from "vitest";
import type { Stats } from "../../src/api/types";
import { ERROR_RATE_LIMIT, measures } from "../../src/thresholds";
import limits from "../../../../infra/thresholds.json";

test("the limits are those of infra/thresholds.json", () => {
  const stats: Stats = {
    users: { total: 0, active_30d: 0, new_7d: 0 },
    tasks: { total: 0, active: 0, paused: 0 },
    executions: { total_24h: 0, success_24h: 0, failed_24h: 0, avg_duration_ms: 0 },
    notifications: { sent_24h: 0, sent_7d: 0 },
    popular_queries: [],
  };

  const found = measures(stats, 0, 0).map(({ name, limit }) => [name, limit]);

  expect(Object.fromEntries(found)).toEqual({
    "Error rate, 24 h": limits.error_rate,
    "Mean duration, 24 h": limits.avg_duration_ms,
    "Failed executions, 1 h": limits.failed_executions_1h,
    "New errors, 1 h": limits.new_errors_1h,
  });
  expect(found.length).toBe(Object.keys(limits).length);
  expect(ERROR_RATE_LIMIT).toBe(limits.error_rate);
});
