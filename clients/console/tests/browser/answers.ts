/** Answers of the API that the tests make up: hostile texts, refusals, and many rows. */
import type { Page } from "playwright-core";
import type { AuditRecord, ErrorRow, ExecutionDetail, HistoryEvent, Series, TaskDetail, UserDetail } from "../../src/api/types";

export const TASK = "550e8400-e29b-41d4-a716-446655440000";
export const EXECUTION = "770e8400-e29b-41d4-a716-446655440000";
export const USER = "660e8400-e29b-41d4-a716-446655440000";
export const ADMIN = "660e8400-e29b-41d4-a716-4466554400ad";

/** Texts as events may bring them. */
export const HOSTILE = {
  long: `Traceback ${"x".repeat(10_000)}`,
  rightToLeft: "متى يصدر الآيفون القادم؟ ‮gnp.exe",
  markup: `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`,
  link: "javascript:document.title='owned'",
};

/** Answers a path of the API so; `*` stands for anything. */
export async function answer(page: Page, path: string, body: unknown, status = 200, headers: Record<string, string> = {}) {
  await page.route(`**/${path}`, (route) => route.fulfill({ status, json: body, headers }));
}

export const errorRow = (changes: Partial<ErrorRow> = {}): ErrorRow => ({
  execution_id: EXECUTION,
  task_id: TASK,
  user_email: "ann@example.com",
  search_query: "When is the next iPhone release?",
  error_message: "Rate limit exceeded for Google Search API",
  error_type: "RateLimitError",
  retry_count: 2,
  will_retry: true,
  occurred_at: "2026-11-28T09:00:04.120Z",
  ...changes,
});

export const history = (type: string, fields: string[]): HistoryEvent[] => [
  { type: `ai.torale.${type}`, id: "evt_0001", source: "/torale/backend", time: "2026-11-28T09:00:04.120Z", fields },
];

export const execution = (changes: Partial<ExecutionDetail> = {}): ExecutionDetail => ({
  id: EXECUTION,
  task_id: TASK,
  user_id: USER,
  user_email: "ann@example.com",
  search_query: "When is the next iPhone release?",
  status: "failed",
  condition_met: null,
  duration_ms: 4100,
  started_at: "2026-11-28T09:00:00Z",
  completed_at: "2026-11-28T09:00:04.100Z",
  error_type: "RateLimitError",
  error_message: "Rate limit exceeded for Google Search API",
  retry_count: 2,
  will_retry: true,
  history: history("execution.failed", ["completed_at", "duration_ms", "error_message", "error_type", "status"]),
  ...changes,
});

export const user = (changes: Partial<UserDetail> = {}): UserDetail => ({
  id: USER,
  email: "ann@example.com",
  clerk_user_id: "user_2abc",
  state: "active",
  role: null,
  tasks_count: 8,
  active_tasks_count: 5,
  executions_24h: 45,
  notifications_7d: 12,
  created_at: "2026-01-10T08:30:00Z",
  last_login: "2026-11-28T08:00:00Z",
  api_keys: [
    { key_id: "key_2", key_prefix: "sk_9f3a", name: "laptop", created_at: "2026-05-10T08:30:00Z", revoked: false, last_used_at: "2026-11-28T08:59:00Z" },
    { key_id: "key_1", key_prefix: "sk_12aa", name: null, created_at: "2026-01-10T08:30:00Z", revoked: true, last_used_at: null },
  ],
  deactivation: null,
  history: changes.deactivation
    ? [deactivatedBy("/torale/admin"), ...history("user.created", ["clerk_user_id", "created_at", "email", "role"])]
    : history("user.created", ["clerk_user_id", "created_at", "email", "role", "state"]),
  ...changes,
});

/** The event of a deactivation, from the API itself or from the platform. */
export const deactivatedBy = (source: "/torale/admin" | "/torale/backend"): HistoryEvent => ({
  ...history("user.deactivated", ["state"])[0]!,
  source,
});

export const task = (changes: Partial<TaskDetail> = {}): TaskDetail => ({
  id: TASK,
  name: "iPhone release",
  search_query: "When is the next iPhone release?",
  user_id: USER,
  user_email: "ann@example.com",
  state: "active",
  schedule: "0 9 * * *",
  created_at: "2026-01-10T08:30:00Z",
  total_executions: 290,
  success_rate: 0.97,
  avg_duration_ms: 4100,
  last_execution: { id: EXECUTION, status: "failed", started_at: "2026-11-28T09:00:00Z" },
  next_run_time: "2026-11-29T09:00:00Z",
  schedules: [
    {
      schedule_id: `task-${TASK}`,
      task_id: TASK,
      user_email: "ann@example.com",
      cron: "0 9 * * *",
      timezone: "Europe/Berlin",
      is_paused: false,
      recent_executions: 30,
      next_run_time: "2026-11-29T09:00:00Z",
      temporal_ui_url: `https://cloud.temporal.io/namespaces/default/schedules/task-${TASK}`,
    },
  ],
  history: history("task.created", ["created_at", "name", "schedule", "search_query", "state", "user_id"]),
  ...changes,
});

/** Answers every list and detail with {@link HOSTILE} texts. */
export async function answerHostile(page: Page): Promise<void> {
  const { long, rightToLeft, markup, link } = HOSTILE;
  const email = `${rightToLeft}${markup}@example.com`;
  const paged = { total: 3, page: 1, limit: 50 };
  const row = { user_email: email, search_query: markup, error_message: long, error_type: "A.Very-Long_Type:Name" };
  const failed = execution({ ...row, history: [{ ...history("user.created", ["email"])[0]!, id: long, source: markup }] });
  const person = user({ email, clerk_user_id: long, role: markup, api_keys: [{ ...user().api_keys[0]!, name: long, key_prefix: markup }] });
  const job = task({ name: markup, search_query: long, user_email: email, schedule: rightToLeft });
  const schedule = { ...job.schedules[0]!, cron: markup, user_email: email, temporal_ui_url: link };
  const stats = {
    users: { total: 1, active_30d: 1, new_7d: 1 },
    tasks: { total: 1, active: 1, paused: 0 },
    executions: { total_24h: 1, success_24h: 0, failed_24h: 1, avg_duration_ms: 1 },
    notifications: { sent_24h: 0, sent_7d: 0 },
    popular_queries: [markup, long, rightToLeft].map((query) => ({ query, count: 1 })),
  };
  const texts = [markup, long, rightToLeft];
  await answerSeries(page);
  await answer(page, "admin/stats", stats);
  await answer(page, "admin/errors?*", {
    errors: texts.map((text, at) => errorRow({ ...row, error_message: text, execution_id: at === 0 ? EXECUTION : `${EXECUTION.slice(0, -1)}${at}` })),
    total: 3,
    error_types: { "A.Very-Long_Type:Name": 3 },
  });
  await answer(page, "admin/executions?*", { executions: [failed], ...paged });
  await answer(page, "admin/tasks?*", { tasks: [job], ...paged });
  await answer(page, "admin/users?*", { users: [person], ...paged });
  await answer(page, "admin/queries?*", {
    queries: texts.map((search_query) => ({ search_query, total_tasks: 1, active_tasks: 1, total_executions: 1, success_rate: 0, avg_duration_ms: 1 })),
    ...paged,
  });
  await answer(page, "admin/temporal/schedules?*", { schedules: [schedule], total: 1 });
  await answer(page, "admin/temporal/workflows?*", {
    workflows: texts.map((workflow_id, at) => ({
      workflow_id,
      workflow_type: markup,
      status: "COMPLETED",
      start_time: "2026-11-28T09:00:00Z",
      close_time: null,
      execution_duration_ms: null,
      temporal_ui_url: `${link}${at}`,
    })),
    total: 3,
  });
  await answer(page, "admin/audit?*", {
    records: [{ ...auditRecord(), user_agent: long, source: markup, action: markup, parameters: { q: markup } }],
    ...paged,
  });
  await answer(page, `admin/users/*`, person);
  await answer(page, `admin/tasks/*`, { ...job, schedules: [schedule] });
  await answer(page, `admin/executions/*`, failed);
}

/** A deactivation in the audit trail. */
export const auditRecord = (): AuditRecord => ({
  id: "2026112809-9f86d081884c-0",
  at: "2026-11-28T09:00:00.042Z",
  principal: { user_id: ADMIN, clerk_user_id: "user_admin", key_id: "key_1", impersonator: null },
  method: "api_key",
  action: "users.deactivate",
  target: USER,
  parameters: {},
  status: 200,
  request_id: "Zm9vYmFyBAz=",
  source: "203.0.113.7",
  user_agent: "curl/8.5.0",
  duration_ms: 42,
});

/**
 * Figures that are all below their thresholds, with nothing that failed: those of the seeded history are calm at some
 * hours of the day only.
 */
export async function answerCalm(page: Page): Promise<void> {
  await answer(page, "admin/stats", {
    users: { total: 2, active_30d: 2, new_7d: 1 },
    tasks: { total: 1, active: 1, paused: 0 },
    executions: { total_24h: 20, success_24h: 20, failed_24h: 0, avg_duration_ms: 4000 },
    notifications: { sent_24h: 0, sent_7d: 0 },
    popular_queries: [],
  });
  await answer(page, "admin/errors?*", { errors: [], total: 0, error_types: {} });
  await answer(page, "admin/executions?*", { executions: [], total: 0, page: 1, limit: 50 });
}

/** Executions by hour or day up to now, with a bad patch near the end. */
export function series(bucket: "hour" | "day" | "minute", hours: number): Series {
  const size = { minute: 60, hour: 3600, day: 86_400 }[bucket] * 1000;
  const now = Date.now();
  const cut = Math.floor((now - hours * 3_600_000) / 60_000) * 60_000;
  const starts = [cut];
  for (let next = (Math.floor(cut / size) + 1) * size; next <= now; next += size) starts.push(next);
  const points = starts.map((start, at) => {
    const busy = 30 + Math.round(14 * Math.sin(at / 3.1)) + ((at * 7) % 9);
    const bad = at >= starts.length - 5 && at < starts.length - 2;
    return {
      start: new Date(start).toISOString().replace(".000Z", "Z"),
      count: busy,
      failed: bad ? Math.round(busy * 0.22) : at % 4 === 0 ? 1 : 0,
      avg_duration_ms: bad ? 8200 : 3900 + ((at * 131) % 700),
    };
  });
  return { metric: "executions", bucket, points };
}

/** The figures over time of {@link series}, whatever the window. */
export async function answerSeries(page: Page): Promise<void> {
  await page.route("**/admin/stats/series?*", (route) => {
    const query = new URL(route.request().url()).searchParams;
    return route.fulfill({ json: series(query.get("bucket") as "hour", Number(query.get("hours"))) });
  });
}
