/** A failed execution, from the list of errors. */
import { useExecution } from "../api/queries";
import type { ErrorRow } from "../api/types";
import { taskExecutionsLink, taskLink, userLink } from "../links";
import { Panel } from "../ui/page";
import { BothTimes, Fact, Facts, Foreign, Id, None } from "../ui/parts";
import { ExecutionPanel, Failure, InTemporal } from "./execution";
import { History } from "./history";
import { Missing } from "./missing";

export function ErrorPanel({ id, row }: { id: string; row: ErrorRow | undefined }) {
  const query = useExecution(id);
  if (row === undefined) return <ExecutionPanel id={id} row={undefined} />;
  return (
    <Panel kind="Failed execution" title={<Foreign text={row.error_type} />}>
      <Missing query={query} hasRow what="executions" />
      <Failure of={row} />
      <Facts>
        <Fact name="Started">
          <BothTimes at={query.data?.started_at} />
        </Fact>
        <Fact name="Failed">
          <BothTimes at={row.occurred_at} />
        </Fact>
        <Fact name="User">
          {row.user_email === null ? (
            <None />
          ) : (
            <a href={userLink(query.data?.user_id, row.user_email)}>
              <Foreign text={row.user_email} email whole />
            </a>
          )}
        </Fact>
        <Fact name="Query">
          <Foreign text={row.search_query} whole />
        </Fact>
        <Fact name="Task">
          <span class="links">
            <a href={taskLink(row.task_id)}>Open the task</a>
            <a href={taskExecutionsLink(row.task_id)}>Its executions</a>
          </span>
          <Id id={row.task_id} what="the task's id" />
        </Fact>
        <InTemporal task={row.task_id} />
        <Fact name="Execution">
          <Id id={row.execution_id} what="the execution's id" />
        </Fact>
      </Facts>
      {query.data && <History events={query.data.history} />}
    </Panel>
  );
}
