/** Executions of a window, newest first. */
import { useEffect } from "preact/hooks";
import { useList } from "../api/queries";
import type { ExecutionRow, ExecutionsPage } from "../api/types";
import { ExecutionPanel } from "../details/execution";
import { duration } from "../format";
import { changed, href, type Params } from "../place";
import { isIn, rangeInWords, rangeOf } from "../range";
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
  { label: "User", cell: (row) => <Foreign text={row.user_email} email line />, extra: true },
  { label: "Condition", cell: (row) => <Condition met={row.condition_met} />, extra: true },
  { label: "Duration", cell: (row) => (row.duration_ms === null ? <None /> : duration(row.duration_ms)), numeric: true },
];

export function Executions() {
  const { params } = useRoute();
  const hours = hoursOf(params);
  const query = useList<ExecutionsPage>(READS.executions(params));
  const isShown = query.data !== undefined && !query.isPlaceholderData;
  useEffect(() => {
    if (isShown && !params["open"]) document.querySelector("tr.marked")?.scrollIntoView({ block: "center" });
  }, [isShown, params["from"]]);
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
            <FromChart />
            <Listing
              caption="Executions"
              columns={COLUMNS}
              rows={data.executions}
              total={data.total}
              id={(row) => row.id}
              busy={query.isPlaceholderData}
              marked={fromChart(params)}
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
function fromChart(params: Params): ((row: ExecutionRow) => boolean) | undefined {
  const range = rangeOf(params);
  return range ? ({ started_at }) => isIn(range, started_at) : undefined;
}

function FromChart() {
  const route = useRoute();
  const range = rangeOf(route.params);
  if (range === null) return null;
  const { hours, task_id, from, to, status } = route.params;
  return (
    <Notice
      tone="info"
      title={`Marked: ${rangeInWords(range)}, from the chart`}
      action={
        <span class="notice-actions">
          {status === "failed" && (
            <a class="button primary" href={href("errors", { hours, task_id, from, to })}>
              Why did they fail?
            </a>
          )}
          <a class="button" href={changed(route, { from: null, to: null })}>
            Unmark
          </a>
        </span>
      }
    >
      The list goes on before and after.
    </Notice>
  );
}
