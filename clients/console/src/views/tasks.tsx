/** Tasks that are not deleted, newest first. */
import { useList } from "../api/queries";
import type { TaskRow, TasksPage } from "../api/types";
import { TaskPanel } from "../details/task";
import { count, duration, percent } from "../format";
import { href } from "../place";
import { ignoredTaskFilters, READS } from "../reads";
import { useRoute } from "../route";
import { shortened, visible } from "../text";
import { hasFinished, type Totals } from "../totals";
import { Chip, Choice, Entry, Filters, idFault } from "../ui/filters";
import { Listing } from "../ui/listing";
import { Loaded, Page } from "../ui/page";
import { Foreign, None, Notice, Status, Time } from "../ui/parts";
import type { Column } from "../ui/table";

export const COLUMNS: readonly Column<TaskRow>[] = [
  { label: "Name", cell: (row) => <Foreign text={row.name ?? row.search_query ?? row.id} />, wide: true, track: "minmax(0, 1.15fr)" },
  { label: "State", cell: (row) => (row.state ? <Status of={row.state} /> : <None />), track: "106px" },
  { label: "User", cell: (row) => <Foreign text={row.user_email} email line />, track: "minmax(0, 1fr)" },
  { label: "Executions", cell: (row) => count(row.total_executions), numeric: true, track: "100px" },
  { label: "Success", cell: (row) => <Success of={row} />, numeric: true, track: "80px" },
  { label: "Mean", cell: (row) => <Mean of={row} />, numeric: true, extra: true, track: "80px" },
  { label: "Last run", cell: (row) => <Time at={row.last_execution?.started_at} />, extra: true, track: "154px" },
  { label: "Next run", cell: (row) => <Time at={row.next_run_time} />, extra: true, track: "158px" },
];

/** The share of successes, if anything has finished. */
export const Success = ({ of }: { of: Totals }) => (hasFinished(of) ? <>{percent(of.success_rate)}</> : <None />);

/** The mean duration, if anything has finished. */
export const Mean = ({ of }: { of: Totals }) => (hasFinished(of) ? <>{duration(of.avg_duration_ms)}</> : <None />);

export function Tasks() {
  const { params } = useRoute();
  const ignored = ignoredTaskFilters(params);
  const query = useList<TasksPage>(READS.tasks(params));
  const open = params["open"];
  const row = query.data?.tasks.find((row) => row.id === open);
  return (
    <Page
      title="Tasks"
      about="Searches that users have set up and not deleted. Newest first."
      filters={
        <Filters>
          <Choice
            name="state"
            label="State"
            options={[
              ["", "All"],
              ["active", "Active"],
              ["paused", "Paused"],
              ["completed", "Completed"],
            ]}
          />
          <Entry name="user_id" label="User" placeholder="Id of a user" check={idFault} wide />
          <a class="button beside-fields" href={href("schedules")}>
            Find by time…
          </a>
          <Chip name="search_query">Query: {visible(shortened(params["search_query"] ?? "", 120))}</Chip>
        </Filters>
      }
      detail={open && <TaskPanel key={open} id={open} row={row} />}
    >
      <Loaded query={query} what="list of tasks">
        {(data) => (
          <>
            {ignored.length > 0 && (
              <Notice tone="warn" title={ignored.length === 1 ? `The ${ignored[0]} is not applied` : "Query and state are not applied"}>
                The API filters by one thing at a time, here by the {params["user_id"] ? "user" : "query"}. Remove that filter to filter by {ignored.join(" or ")}.
              </Notice>
            )}
            <Listing
              caption="Tasks"
              columns={COLUMNS}
              rows={data.tasks}
              total={data.total}
              id={(row) => row.id}
              busy={query.isPlaceholderData}
              empty={{ icon: "tasks", title: "No such tasks" }}
            />
          </>
        )}
      </Loaded>
    </Page>
  );
}
