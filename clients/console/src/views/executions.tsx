/** Executions of a window, newest first. */
import { useList } from "../api/queries";
import type { ExecutionRow, ExecutionsPage } from "../api/types";
import { ExecutionPanel } from "../details/execution";
import { dayOf, duration, hourOf } from "../format";
import { changed, type Params } from "../place";
import { hoursOf, READS } from "../reads";
import { useRoute } from "../route";
import { Choice, Entry, Filters, HoursChoice, hoursInWords, idFault } from "../ui/filters";
import { Listing } from "../ui/listing";
import { Loaded, Page } from "../ui/page";
import { Condition, Foreign, None, Notice, Status, Time } from "../ui/parts";
import type { Column } from "../ui/table";

const COLUMNS: readonly Column<ExecutionRow>[] = [
  { label: "Started", cell: (row) => <Time at={row.started_at} /> },
  { label: "Status", cell: (row) => <Status of={row.status} /> },
  { label: "Query", cell: (row) => <Foreign text={row.search_query} />, wide: true },
  { label: "User", cell: (row) => <Foreign text={row.user_email} line />, extra: true },
  { label: "Condition", cell: (row) => <Condition met={row.condition_met} />, extra: true },
  { label: "Duration", cell: (row) => (row.duration_ms === null ? <None /> : duration(row.duration_ms)), numeric: true },
];

export function Executions() {
  const { params } = useRoute();
  const hours = hoursOf(params);
  const query = useList<ExecutionsPage>(READS.executions(params));
  const open = params["open"];
  const row = query.data?.executions.find((row) => row.id === open);
  return (
    <Page
      title="Executions"
      about="Every run of a task, by the time it began. Newest first."
      filters={<ExecutionFilters />}
      detail={open && <ExecutionPanel id={open} row={row} />}
    >
      <Loaded query={query} what="executions">
        {(data) => (
          <>
            <FromChart params={params} />
            <Listing
              caption="Executions"
              columns={COLUMNS}
              rows={data.executions}
              total={data.total}
              id={(row) => row.id}
              busy={query.isPlaceholderData}
              marked={between(params)}
              empty={{
                icon: "executions",
                title: `No executions in the ${hoursInWords(hours)}`,
                hint: "A longer window or another status may have some.",
              }}
            />
          </>
        )}
      </Loaded>
    </Page>
  );
}

const ExecutionFilters = () => (
  <Filters>
    <Choice
      name="status"
      label="Status"
      options={[
        ["", "All"],
        ["success", "Success"],
        ["failed", "Failed"],
        ["running", "Running"],
      ]}
    />
    <HoursChoice />
    <Entry name="task_id" label="Task" placeholder="Id of a task" check={idFault} wide />
  </Filters>
);

/** The rows of the bar of a chart that led here. */
function between({ from, to }: Params): ((row: ExecutionRow) => boolean) | undefined {
  const [start, end] = [Date.parse(from ?? ""), Date.parse(to ?? "")];
  if (Number.isNaN(start) || Number.isNaN(end)) return undefined;
  return ({ started_at }) => Date.parse(started_at) >= start && Date.parse(started_at) < end;
}

function FromChart({ params }: { params: Params }) {
  const route = useRoute();
  if (between(params) === undefined) return null;
  const [from, to] = [new Date(params["from"] ?? ""), new Date(params["to"] ?? "")];
  const days = to.getTime() - from.getTime() > 3_600_000;
  const words = days ? `${dayOf(from)} ${hourOf(from)} to ${dayOf(to)} ${hourOf(to)}` : `${hourOf(from)} to ${hourOf(to)}`;
  return (
    <Notice
      tone="info"
      title={`Marked: ${words}, from the chart`}
      action={
        <a class="button" href={changed(route, { from: null, to: null })}>
          Unmark
        </a>
      }
    >
      The list goes on before and after.
    </Notice>
  );
}
