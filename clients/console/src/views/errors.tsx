/** Failed executions of a window, and what they have in common. */
import { useState } from "preact/hooks";
import { useAllErrors, useList } from "../api/queries";
import type { ErrorRow, ErrorsPage } from "../api/types";
import { breakdown, GROUPS, ofTypes, type Group, type Part } from "../breakdown";
import { ErrorPanel } from "../details/error";
import { count, percent, plural } from "../format";
import { errorsLink, userLink } from "../links";
import { hoursOf, READS } from "../reads";
import { useRoute } from "../route";
import { shortened, visible } from "../text";
import { Chip, Entry, Filters, HoursChoice, hoursInWords, idFault } from "../ui/filters";
import { Listing } from "../ui/listing";
import { Loaded, Page } from "../ui/page";
import { Foreign, Share, Time } from "../ui/parts";
import type { Column } from "../ui/table";

const COLUMNS: readonly Column<ErrorRow>[] = [
  { label: "Failed", cell: (row) => <Time at={row.occurred_at} /> },
  { label: "Type", cell: (row) => <Foreign text={row.error_type} line /> },
  { label: "Message", cell: (row) => <Foreign text={row.error_message} />, wide: true },
  { label: "User", cell: (row) => <Foreign text={row.user_email} line /> },
  { label: "Query", cell: (row) => <Foreign text={row.search_query} />, wide: true, extra: true },
  { label: "Retries", cell: (row) => (row.will_retry ? `${row.retry_count}, again` : row.retry_count), numeric: true, extra: true },
];

export function Errors() {
  const { params } = useRoute();
  const hours = hoursOf(params);
  const { error_type, task_id } = params;
  const query = useList<ErrorsPage>(READS.errors(params));
  const open = params["open"];
  const row = query.data?.errors.find((row) => row.execution_id === open);
  return (
    <Page
      title="Errors"
      about="Executions that are failed now, by the time they failed. One that succeeds on a retry leaves this list."
      filters={
        <Filters>
          <HoursChoice />
          <Entry name="task_id" label="Task" placeholder="Id of a task" check={idFault} wide />
          <Chip name="error_type">Type: {visible(shortened(error_type ?? "", 120))}</Chip>
        </Filters>
      }
      detail={open && <ErrorPanel id={open} row={row} />}
    >
      <Loaded query={query} what="errors">
        {(data) => (
          <>
            {data.total > 0 && !task_id && <Breakdown hours={hours} type={error_type} types={data.error_types} />}
            <Listing
              caption="Failed executions"
              columns={COLUMNS}
              rows={data.errors}
              total={data.total}
              id={(row) => row.execution_id}
              busy={query.isPlaceholderData}
              empty={{
                icon: "check",
                title: `Nothing failed in the ${hoursInWords(hours)}`,
                hint: "An execution that fails appears here within seconds.",
              }}
            />
          </>
        )}
      </Loaded>
    </Page>
  );
}

/** Parts of a breakdown that are shown at first. */
const FIRST = 5;

interface BreakdownProps {
  hours: number;
  /** The type that the list is filtered by. */
  type: string | undefined;
  /** All types of the window with their counts. */
  types: Readonly<Record<string, number>>;
}

function Breakdown({ hours, type, types }: BreakdownProps) {
  const [chosen, setGroup] = useState<Group>("error_type");
  const [all, setAll] = useState(false);
  // Failures of one type have something else in common.
  const group = type !== undefined && chosen === "error_type" ? "user_email" : chosen;
  const byType = group === "error_type";
  const query = useAllErrors(hours, type, !byType);
  const { rows = [], total = 0 } = query.data ?? {};
  const parts = byType ? ofTypes(types) : breakdown(rows, group);
  const shown = all ? parts : parts.slice(0, FIRST);
  return (
    <section class="card breakdown" aria-labelledby="breakdown">
      <header class="card-head">
        <h2 id="breakdown">What they have in common</h2>
        <label class="inline">
          <span>By</span>
          <select value={group} onChange={(event) => setGroup(event.currentTarget.value as Group)}>
            {Object.entries(GROUPS).filter(([value]) => type === undefined || value !== "error_type").map(([value, words]) => (
              <option key={value} value={value}>
                {words.toLowerCase()}
              </option>
            ))}
          </select>
        </label>
      </header>
      <ul class="bars" aria-busy={query.isLoading}>
        {shown.map((part) => (
          <li key={part.value ?? ""}>
            <PartName part={part} group={group} hours={hours} />
            <Share of={part.share} />
            <span class="bars-count">
              {count(part.count)} <span class="faint">{percent(part.share)}</span>
            </span>
          </li>
        ))}
      </ul>
      <footer class="card-foot">
        {parts.length > FIRST && (
          <button type="button" class="button" onClick={() => setAll(!all)}>
            {all ? "Show fewer" : `Show all ${count(parts.length)}`}
          </button>
        )}
        <span class="faint small">
          {query.isLoading && "Reading the failures…"}
          {byType ? `Of all ${plural(sum(parts), "failure")}.` : extent(rows.length, total)}
        </span>
      </footer>
    </section>
  );
}

const sum = (parts: readonly Part[]) => parts.reduce((sum, part) => sum + part.count, 0);

/** How many failures were read, of how many. */
function extent(read: number, total: number): string {
  if (total > read) return `Of the newest ${count(read)} of ${plural(total, "failure")}.`;
  return read > 0 ? `Of all ${plural(read, "failure")}.` : "";
}

function PartName({ part: { value }, group, hours }: { part: Part; group: Group; hours: number }) {
  if (value === null) return <span class="faint">unknown</span>;
  const name = <Foreign text={value} />;
  if (group === "error_type") return <a href={errorsLink({ error_type: value }, hours)}>{name}</a>;
  if (group === "user_email") return <a href={userLink(null, value)}>{name}</a>;
  return <span>{name}</span>;
}
