/** One execution: its error in full, its times, and who says so. */
import { useExecution, useSchedulesOf } from "../api/queries";
import type { ExecutionDetail, ExecutionRow } from "../api/types";
import { duration } from "../format";
import { taskExecutionsLink, taskLink, userLink } from "../links";
import { Panel, Section } from "../ui/page";
import { BothTimes, Condition, External, Fact, Facts, Foreign, Id, None, Status } from "../ui/parts";
import { History } from "./history";
import { Missing } from "./missing";

export function ExecutionPanel({ id, row }: { id: string; row: ExecutionRow | undefined }) {
  const query = useExecution(id);
  const execution: ExecutionRow | ExecutionDetail | undefined = query.data ?? row;
  return (
    <Panel kind="Execution" title={execution ? <Foreign text={execution.search_query ?? "Unknown query"} /> : "Execution"}>
      <Missing query={query} hasRow={execution !== undefined} what="executions" />
      {execution && <ExecutionFacts execution={execution} detail={query.data} />}
      {query.data && <History events={query.data.history} />}
    </Panel>
  );
}

function ExecutionFacts({ execution, detail }: { execution: ExecutionRow; detail: ExecutionDetail | undefined }) {
  const user = userLink(detail?.user_id, execution.user_email);
  return (
    <>
      <Facts>
        <Fact name="Status">
          <Status of={execution.status} />
        </Fact>
        <Fact name="Started">
          <BothTimes at={execution.started_at} />
        </Fact>
        <Fact name="Completed">
          <BothTimes at={execution.completed_at} />
        </Fact>
        <Fact name="Duration">{execution.duration_ms === null ? <None /> : duration(execution.duration_ms)}</Fact>
        <Fact name="Condition">
          <Condition met={execution.condition_met} />
        </Fact>
        <Fact name="User">
          {execution.user_email === null ? (
            <None />
          ) : (
            <a href={user}>
              <Foreign text={execution.user_email} email whole />
            </a>
          )}
        </Fact>
        <Fact name="Query">
          <Foreign text={execution.search_query} whole />
        </Fact>
        <Fact name="Task">
          <span class="links">
            <a href={taskLink(execution.task_id)}>Open the task</a>
            <a href={taskExecutionsLink(execution.task_id)}>Its executions</a>
          </span>
          <Id id={execution.task_id} what="the task's id" />
        </Fact>
        <InTemporal task={execution.task_id} />
        <Fact name="Execution">
          <Id id={execution.id} what="the execution's id" />
        </Fact>
      </Facts>
      {execution.status === "failed" && detail && <Failure of={detail} />}
    </>
  );
}

/** The way to the run in Temporal: the API does not say which run an execution was, but a schedule's page lists them. */
export function InTemporal({ task }: { task: string }) {
  const schedules = useSchedulesOf(task);
  if (schedules.length === 0) return null;
  return (
    <Fact name="Temporal">
      <span class="links">
        {schedules.map((schedule) => (
          <External key={schedule.schedule_id} to={schedule.temporal_ui_url}>
            {schedules.length === 1 ? "Runs of its schedule" : <>Runs of <Foreign text={schedule.cron} line /></>}
          </External>
        ))}
      </span>
    </Fact>
  );
}

interface Failed {
  error_type: string | null;
  error_message: string | null;
  retry_count: number | null;
  will_retry: boolean | null;
}

/** Why an execution failed. */
export function Failure({ of }: { of: Failed }) {
  return (
    <Section title="Error">
      <Facts>
        <Fact name="Type">
          <strong>
            <Foreign text={of.error_type} whole />
          </strong>
        </Fact>
        <Fact name="Retries">
          {of.retry_count ?? 0}
          {of.will_retry ? ", and it will be tried again" : ", and it will not be tried again"}
        </Fact>
      </Facts>
      <pre class="message" tabIndex={0} aria-label="Error message">
        <Foreign text={of.error_message} whole />
      </pre>
    </Section>
  );
}
