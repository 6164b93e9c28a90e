/** One task: its schedules, what ran last, and who says so. */
import { useList, useTask } from "../api/queries";
import type { ExecutionRow, ExecutionsPage, ScheduleRow, TaskDetail, TaskRow } from "../api/types";
import { count, duration, localTime, percent } from "../format";
import { scheduleLink, taskExecutionsLink, userLink } from "../links";
import { knownZoneOf } from "../schedules";
import { hasFinished } from "../totals";
import { NothingYet, Panel, Section } from "../ui/page";
import { BothTimes, External, Fact, Facts, Foreign, Id, Key, None, Status, Time } from "../ui/parts";
import { History } from "./history";
import { Missing } from "./missing";

export function TaskPanel({ id, row }: { id: string; row: TaskRow | undefined }) {
  const query = useTask(id);
  const task: TaskRow | undefined = query.data ?? row;
  return (
    <Panel kind="Task" title={task ? <Foreign text={task.name ?? task.search_query ?? "Without a name"} /> : "Task"}>
      <Missing query={query} hasRow={task !== undefined} what="tasks" />
      {task && <TaskFacts task={task} />}
      {query.data && <Schedules task={query.data} />}
      {query.data && <LastExecutions task={query.data} />}
      {query.data && <History events={query.data.history} />}
    </Panel>
  );
}

function TaskFacts({ task }: { task: TaskRow }) {
  return (
    <Facts>
      <Fact name="State">{task.state ? <Status of={task.state} /> : <None />}</Fact>
      <Fact name="User">
        {task.user_email === null ? (
          <None />
        ) : (
          <a href={userLink(task.user_id, task.user_email)}>
            <Foreign text={task.user_email} email whole />
          </a>
        )}
      </Fact>
      <Fact name="Query">
        <Foreign text={task.search_query} whole />
      </Fact>
      <Fact name="Created">
        <BothTimes at={task.created_at} />
      </Fact>
      <Fact name="Next run">
        <BothTimes at={task.next_run_time} />
      </Fact>
      <Fact name="Of all time">
        <OfAllTime task={task} />
      </Fact>
      <Fact name="Task">
        <Id id={task.id} what="the task's id" />
      </Fact>
    </Facts>
  );
}

/** How many executions there are, and what is known of those that have finished. */
export function OfAllTime({ task }: { task: TaskRow }) {
  return (
    <>
      {count(task.total_executions)} executions
      {hasFinished(task) && `, ${percent(task.success_rate)} of those finished succeeded, ${duration(task.avg_duration_ms)} on average`}
    </>
  );
}

function Schedules({ task }: { task: TaskDetail }) {
  return (
    <Section title="Schedules">
      {task.schedules.length === 0 && <p class="faint">This task has no schedule.</p>}
      <ul class="rows schedules">
        {task.schedules.map((schedule) => (
          <li key={schedule.schedule_id}>
            <code>
              <Foreign text={schedule.cron} whole />
            </code>
            <span>{schedule.is_paused ? <Status of="paused" /> : <Time at={schedule.next_run_time} />}</span>
            <External to={schedule.temporal_ui_url}>Temporal</External>
            <span class="schedule-zone faint small">
              <ByClock of={schedule} />
            </span>
          </li>
        ))}
      </ul>
    </Section>
  );
}

/** By which clock an expression is read. A task's own answer has no zones: the list of schedules has them. */
function ByClock({ of }: { of: ScheduleRow }) {
  const zone = knownZoneOf(of);
  if (zone === null) return <>an interval: it goes by no clock</>;
  if (zone !== undefined) {
    return (
      <>
        by the clock of <Foreign text={zone} whole />
      </>
    );
  }
  return (
    <>
      by the clock of the schedule's zone: <a href={scheduleLink(of)}>see which</a>
    </>
  );
}

/** What ran in the last 30 days. Each reading costs by how much that is, so it is read once a minute. */
export function LastExecutions({ task }: { task: TaskDetail }) {
  const query = useList<ExecutionsPage>({ path: "admin/executions", query: { task_id: task.id, hours: 720, limit: 50 } }, { slow: true });
  const rows = query.data?.executions ?? [];
  return (
    <Section title="Last executions">
      {query.data === undefined && <NothingYet query={query} />}
      {query.data && rows.length === 0 && <p class="faint">Nothing ran in the last 30 days.</p>}
      {rows.length > 0 && <Strip rows={rows} />}
      <ul class="rows">
        {rows.slice(0, 5).map((row) => (
          <li key={row.id}>
            <a href={taskExecutionsLink(task.id, row.id)}>
              <Time at={row.started_at} />
            </a>
            <Status of={row.status} />
            <span>{row.duration_ms === null ? <None /> : duration(row.duration_ms)}</span>
          </li>
        ))}
      </ul>
      {rows.length > 0 && <a href={taskExecutionsLink(task.id)}>All of the last 30 days</a>}
    </Section>
  );
}

/** The last executions from old to new, one bar each. */
function Strip({ rows }: { rows: readonly ExecutionRow[] }) {
  const failed = rows.filter((row) => row.status === "failed").length;
  return (
    <>
      <p class="small faint">
        {failed === 0 ? `None of the last ${rows.length} failed.` : `${failed} of the last ${rows.length} failed.`} Oldest on the left.
      </p>
      <p class="small faint legend">
        <Key of="ok">Success</Key>
        <Key of="bad">Failed</Key>
        <Key of="rest">Still running</Key>
      </p>
      <div class="strip" aria-hidden="true">
        {rows.toReversed().map((row) => (
          <span key={row.id} class={row.status} title={`${localTime(new Date(row.started_at), new Date())}: ${row.status}`} />
        ))}
      </div>
    </>
  );
}
