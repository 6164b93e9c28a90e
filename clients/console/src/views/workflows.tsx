/** Workflow runs of the last 24 hours. */
import { useList } from "../api/queries";
import type { WorkflowRow, WorkflowsPage } from "../api/types";
import { duration } from "../format";
import { READS } from "../reads";
import { useRoute } from "../route";
import { Listing } from "../ui/listing";
import { Loaded, Page, Panel } from "../ui/page";
import { BothTimes, External, Fact, Facts, Foreign, Id, None, Notice, Status, Time } from "../ui/parts";
import type { Column } from "../ui/table";

const COLUMNS: readonly Column<WorkflowRow>[] = [
  { label: "Started", cell: (row) => <Time at={row.start_time} /> },
  { label: "Status", cell: (row) => <Status of={row.status} /> },
  { label: "Workflow", cell: (row) => <Foreign text={row.workflow_id} />, wide: true },
  { label: "Type", cell: (row) => <Foreign text={row.workflow_type} line />, extra: true },
  { label: "Duration", cell: (row) => <Length of={row} />, numeric: true },
  { label: "Temporal", cell: (row) => <External to={row.temporal_ui_url}>Open</External>, extra: true },
];

const Length = ({ of }: { of: WorkflowRow }) =>
  of.execution_duration_ms === null ? <None /> : <>{duration(of.execution_duration_ms)}</>;

export function Workflows() {
  const { params } = useRoute();
  const query = useList<WorkflowsPage>(READS.workflows(params));
  const open = params["open"];
  const row = query.data?.workflows.find((row) => row.temporal_ui_url === open);
  return (
    <Page
      title="Workflows"
      about="Temporal's workflow runs that began in the last 24 hours. Newest first."
      detail={open !== undefined && <WorkflowPanel row={row} />}
    >
      <Loaded query={query} what="workflows">
        {(data) => (
          <Listing
            caption="Workflow runs"
            columns={COLUMNS}
            rows={data.workflows}
            total={data.total}
            // One row is a run; its address in Temporal is the only field that names workflow and run.
            id={(row) => row.temporal_ui_url}
            busy={query.isPlaceholderData}
            empty={{ icon: "workflows", title: "No workflow began in the last 24 hours" }}
          />
        )}
      </Loaded>
    </Page>
  );
}

function WorkflowPanel({ row }: { row: WorkflowRow | undefined }) {
  return (
    <Panel kind="Workflow run" title={row ? <Foreign text={row.workflow_type} line /> : "Workflow run"}>
      {row === undefined && <Notice tone="info" title="This run is not on this page of the list." />}
      {row && (
        <Facts>
          <Fact name="Status">
            <Status of={row.status} />
          </Fact>
          <Fact name="Started">
            <BothTimes at={row.start_time} />
          </Fact>
          <Fact name="Closed">
            <BothTimes at={row.close_time} />
          </Fact>
          <Fact name="Duration">
            <Length of={row} />
          </Fact>
          <Fact name="Workflow">
            <Id id={row.workflow_id} what="the workflow's id" />
          </Fact>
          <Fact name="Temporal">
            <External to={row.temporal_ui_url}>Open this run</External>
          </Fact>
        </Facts>
      )}
    </Panel>
  );
}
