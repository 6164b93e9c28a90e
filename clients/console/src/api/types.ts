/** The API's types: generated from `events/openapi.json`, and those that it does not describe yet. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Stats = Schemas["Stats"];
export type Health = Schemas["Health"];
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
export type UsersPage = Schemas["UsersPage"];
export type WorkflowsPage = Schemas["WorkflowsPage"];
export type SchedulesPage = Schemas["SchedulesPage"];
export type AuditPage = Schemas["AuditPage"];
export type Deactivated = Schemas["Deactivated"];
export type Reactivated = Schemas["Reactivated"];
export type AllDeactivated = Schemas["AllDeactivated"];
export type OneResult = Schemas["OneResult"];

export type ExecutionDetail = Schemas["ExecutionDetail"];
export type TaskRow = Schemas["TaskRow"];
export type TasksPage = Schemas["TasksPage"];
export type TaskDetail = Schemas["TaskDetail"];
export type UserDetail = Schemas["UserDetail"];
export type ApiKey = Schemas["ApiKeyRow"];
export type HistoryEvent = Schemas["HistoryEntry"];
export type Series = Schemas["SeriesPage"];
export type Point = Schemas["SeriesPoint"];
export type Bucket = Series["bucket"];
