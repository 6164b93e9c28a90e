/** Every query that a task has now, most tasks first. */
import { useList } from "../api/queries";
import type { QueriesPage, QueryRow } from "../api/types";
import { count } from "../format";
import { href } from "../place";
import { READS } from "../reads";
import { useRoute } from "../route";
import { Listing } from "../ui/listing";
import { Loaded, Page, Panel } from "../ui/page";
import { Copy, Fact, Facts, Foreign, Notice } from "../ui/parts";
import type { Column } from "../ui/table";
import { Mean, Success } from "./tasks";

export const COLUMNS: readonly Column<QueryRow>[] = [
  { label: "Query", cell: (row) => <Foreign text={row.search_query} />, wide: true },
  { label: "Tasks", cell: (row) => count(row.total_tasks), numeric: true },
  { label: "Active", cell: (row) => count(row.active_tasks), numeric: true },
  { label: "Executions", cell: (row) => count(row.total_executions), numeric: true },
  { label: "Success", cell: (row) => <Success of={row} />, numeric: true },
  { label: "Mean", cell: (row) => <Mean of={row} />, numeric: true },
];

export function Queries() {
  const { params } = useRoute();
  const query = useList<QueriesPage>(READS.queries(params));
  const open = params["open"];
  const row = query.data?.queries.find((row) => row.search_query === open);
  return (
    <Page
      title="Queries"
      about="What users search for: each distinct text with the totals of its tasks, of all time. Most tasks first."
      detail={open !== undefined && <QueryPanel text={open} row={row} />}
    >
      <Loaded query={query} what="queries">
        {(data) => (
          <Listing
            caption="Queries"
            columns={COLUMNS}
            rows={data.queries}
            total={data.total}
            id={(row) => row.search_query}
            busy={query.isPlaceholderData}
            empty={{ icon: "queries", title: "No task has a query" }}
          />
        )}
      </Loaded>
    </Page>
  );
}

function QueryPanel({ text, row }: { text: string; row: QueryRow | undefined }) {
  return (
    <Panel kind="Query" title={<Foreign text={text} />} actions={<Copy text={text} what="the query" />}>
      {row === undefined && <Notice tone="info" title="This query is not on this page of the list." />}
      {row && (
        <Facts>
          <Fact name="Tasks">{count(row.total_tasks)}</Fact>
          <Fact name="Active">{count(row.active_tasks)}</Fact>
          <Fact name="Executions">{count(row.total_executions)}</Fact>
          <Fact name="Success">
            <Success of={row} />
          </Fact>
          <Fact name="Mean duration">
            <Mean of={row} />
          </Fact>
        </Facts>
      )}
      <p>
        <a href={href("tasks", { search_query: text })}>Tasks with this query</a>
      </p>
      <Facts>
        <Fact name="Text">
          <Foreign text={text} whole />
        </Fact>
      </Facts>
    </Panel>
  );
}
