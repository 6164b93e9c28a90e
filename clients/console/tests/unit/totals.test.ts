/** What the console says of executions of all time, of a task and of a query. */
import { h } from "preact";
import { expect, test } from "vitest";
import type { QueryRow, TaskRow } from "../../src/api/types";
import { OfAllTime } from "../../src/details/task";
import { COLUMNS as QUERY_COLUMNS } from "../../src/views/queries";
import { COLUMNS as TASK_COLUMNS } from "../../src/views/tasks";
import { textOf } from "./rendered";

const totals = (total_executions: number, success_rate: number, avg_duration_ms: number) => ({ total_executions, success_rate, avg_duration_ms });
const last = (status: string) => ({ last_execution: { id: "e1", started_at: "2026-11-28T09:00:00Z", status } });

/** Success and mean in a row of a list. */
function cells<Row>(columns: readonly { label: string; cell: (row: Row) => unknown }[], row: Row): string[] {
  return ["Success", "Mean"].map((label) => textOf(columns.find((column) => column.label === label)?.cell(row) as string));
}

test.each([
  ["nothing ran", { ...totals(0, 0, 0), last_execution: null }, ["–", "–"], "0 executions"],
  ["the first two run", { ...totals(2, 0, 0), ...last("running") }, ["–", "–"], "2 executions"],
  ["all failed", { ...totals(2, 0, 40), ...last("running") }, ["0 %", "40 ms"], "2 executions, 0 % of those finished succeeded, 40 ms on average"],
  ["the last one failed at once", { ...totals(2, 0, 0), ...last("failed") }, ["0 %", "0 ms"], "2 executions, 0 % of those finished succeeded, 0 ms on average"],
  ["one succeeded at once", { ...totals(2, 1, 0), ...last("running") }, ["100 %", "0 ms"], "2 executions, 100 % of those finished succeeded, 0 ms on average"],
])("of a task of which %s, share and mean are said only if something has finished", (_, row, inList, inDetail) => {
  expect(cells(TASK_COLUMNS, row as TaskRow)).toEqual(inList);
  expect(textOf(h(OfAllTime, { task: row as TaskRow }))).toBe(inDetail);
});

test.each([
  ["nothing ran", totals(0, 0, 0), ["–", "–"]],
  ["the first one runs", totals(1, 0, 0), ["–", "–"]],
  ["all failed", totals(2, 0, 40), ["0 %", "40 ms"]],
])("of a query of which %s, share and mean are said only if something has finished", (_, row, inList) => {
  expect(cells(QUERY_COLUMNS, row as QueryRow)).toEqual(inList);
});
