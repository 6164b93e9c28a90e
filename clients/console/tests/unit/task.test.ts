/** What a task's detail reads and says of its executions. */
import { h } from "preact";
import { beforeEach, expect, test, vi } from "vitest";
import { useList } from "../../src/api/queries";
import type { TaskDetail } from "../../src/api/types";
import { LastExecutions } from "../../src/details/task";
import { linksOf, textOf } from "./rendered";

vi.mock("../../src/api/queries", () => ({ useList: vi.fn() }));

const TASK = { id: "t1" } as TaskDetail;

/** The last executions of the task, of which these ids are found. */
function lastExecutions(...ids: string[]) {
  const executions = ids.map((id) => ({ id, task_id: TASK.id, status: "success", duration_ms: 40, started_at: "2026-11-28T09:00:00Z" }));
  vi.mocked(useList, { partial: true }).mockReturnValue({ data: { executions } });
  return h(LastExecutions, { task: TASK });
}

beforeEach(() => void vi.mocked(useList).mockReset());

test("the last executions of a task are read for 30 days, and as rarely as the charts", () => {
  textOf(lastExecutions("e1"));
  expect(vi.mocked(useList).mock.calls).toEqual([[{ path: "admin/executions", query: { task_id: "t1", hours: 720, limit: 50 } }, { slow: true }]]);
});

test("a task of which nothing ran in 30 days says that of 30 days", () => {
  expect(textOf(lastExecutions())).toContain("Nothing ran in the last 30 days.");
});

test("an execution of a task opens in the list of the 30 days in which it was found", () => {
  const list = "#/executions?task_id=t1&hours=720";
  expect(linksOf(lastExecutions("e1", "e2"))).toEqual([`${list}&open=e1`, `${list}&open=e2`, list]);
});
