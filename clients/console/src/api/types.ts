/** The API's types: generated from `events/openapi.json`, and those that it does not describe yet. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Stats = Schemas["Stats"];
export type ExecutionRow = Schemas["ExecutionRow"];
export type ErrorRow = Schemas["ErrorRow"];
export type QueryRow = Schemas["QueryRow"];
export type UserRow = Schemas["UserRow"];
export type WorkflowRow = Schemas["WorkflowRow"];
export type ScheduleRow = Schemas["ScheduleRow"];
export type AuditRow = Schemas["AuditRow"];
/** A record of the audit trail that exists. */
export type AuditRecord = Exclude<AuditRow, { missing: boolean }>;
export type ExecutionsPage = Schemas["ExecutionsPage"];
export type ErrorsPage = Schemas["ErrorsPage"];
export type QueriesPage = Schemas["QueriesPage"];
export type UsersPage = Schemas["UsersPage"] & { total_capped?: boolean };
export type WorkflowsPage = Schemas["WorkflowsPage"];
export type SchedulesPage = Schemas["SchedulesPage"];
export type AuditPage = Schemas["AuditPage"];
export type Deactivated = Schemas["Deactivated"];
export type Reactivated = Schemas["Reactivated"];
export type AllDeactivated = Schemas["AllDeactivated"];
export type OneResult = Schemas["OneResult"];

/** An event that decides some fields of an answer. */
export interface HistoryEvent {
  type: string;
  id: string;
  source: string;
  time: string;
  fields: string[];
}

export interface ExecutionDetail extends ExecutionRow {
  user_id: string | null;
  error_type: string | null;
  error_message: string | null;
  retry_count: number | null;
  will_retry: boolean | null;
  history: HistoryEvent[];
}

export interface TaskRow {
  id: string;
  name: string | null;
  search_query: string | null;
  user_id: string | null;
  user_email: string | null;
  state: string | null;
  schedule: string | null;
  created_at: string | null;
  total_executions: number;
  success_rate: number;
  avg_duration_ms: number;
  last_execution: { id: string; status: string; started_at: string } | null;
  next_run_time: string | null;
}

export interface TasksPage {
  tasks: TaskRow[];
  total: number;
}

export interface TaskDetail extends TaskRow {
  schedules: ScheduleRow[];
  history: HistoryEvent[];
}

export interface ApiKey {
  key_id: string;
  key_prefix: string | null;
  name: string | null;
  created_at: string | null;
  revoked: boolean;
  last_used_at: string | null;
}

export interface UserDetail extends UserRow {
  role: string | null;
  api_keys: ApiKey[];
  deactivation: { at: string; by: string | null; tasks_paused: number | null; commands_pending: number } | null;
  history: HistoryEvent[];
}

export interface Point {
  start: string;
  count: number;
  failed?: number;
  avg_duration_ms?: number;
}

export type Bucket = "minute" | "hour" | "day";

export interface Series {
  metric: string;
  bucket: Bucket;
  points: Point[];
}
