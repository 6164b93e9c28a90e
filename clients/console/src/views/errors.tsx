/** Failed executions of a window, and what they have in common. */
import { useState } from "preact/hooks";
import { problemOf, sentence } from "../api/errors";
import { useAllErrors, useList } from "../api/queries";
import type { ErrorRow, ErrorsPage } from "../api/types";
import { breakdown, extent, GROUP_NAMES, GROUPS, ofTypes, type Group, type Part } from "../breakdown";
import { ErrorPanel } from "../details/error";
import { count, percent, plural } from "../format";
import { userLink } from "../links";
import { changed, paging, type Params } from "../place";
import { isIn, rangeInWords, rangeOf, type Range } from "../range";
import { hoursOf, READS } from "../reads";
import { useRoute } from "../route";
import { shortened, visible } from "../text";
import { Chip, Entry, Filters, HoursChoice, hoursInWords, idFault } from "../ui/filters";
import { Listing } from "../ui/listing";
import { Loaded, Page } from "../ui/page";
import { Foreign, Notice, Share, Time } from "../ui/parts";
import type { Column } from "../ui/table";

const COLUMNS: readonly Column<ErrorRow>[] = [
  { label: "Failed", cell: (row) => <Time at={row.occurred_at} /> },
  { label: "Type", cell: (row) => <Foreign text={row.error_type} line /> },
  { label: "Message", cell: (row) => <Foreign text={row.error_message} />, wide: true },
  { label: "User", cell: (row) => <Foreign text={row.user_email} email line />, extra: true },
  { label: "Query", cell: (row) => <Foreign text={row.search_query} />, wide: true, extra: true },
  { label: "Retries", cell: (row) => (row.will_retry ? `${row.retry_count}, again` : row.retry_count), numeric: true, extra: true },
];

export function Errors() {
  const route = useRoute();
  const { params } = route;
  const range = rangeOf(params);
  const hours = hoursOf(params);
  return (
    <Page
      title="Errors"
      about="Executions that are failed now, by the time they failed. One that succeeds on a retry leaves this list."
      filters={
        <Filters>
          <HoursChoice />
          <Entry name="task_id" label="Task" placeholder="Id of a task" check={idFault} wide />
          <Chip name="error_type">Type: {visible(shortened(params["error_type"] ?? "", 120))}</Chip>
        </Filters>
      }
      detail={params["open"] && <OpenError id={params["open"]} />}
    >
      {range ? <OfRange range={range} hours={hours} /> : <OfWindow hours={hours} />}
    </Page>
  );
}

/** The open failure, with its row if the list on the screen has it. */
function OpenError({ id }: { id: string }) {
  const { params } = useRoute();
  const range = rangeOf(params);
  const list = useList<ErrorsPage>(READS.errors(params), { enabled: range === null });
  const newest = useAllErrors({ hours: hoursOf(params), range }, params, range !== null);
  const rows = range ? newest.data?.rows : list.data?.errors;
  return <ErrorPanel id={id} row={rows?.find((row) => row.execution_id === id)} />;
}

/** All failures of a window, page by page. */
function OfWindow({ hours }: { hours: number }) {
  const { params } = useRoute();
  const query = useList<ErrorsPage>(READS.errors(params));
  return (
    <Loaded query={query} what="errors">
      {(data) => (
        <>
          {data.total > 0 && !params["task_id"] && <Breakdown hours={hours} types={data.error_types} />}
          <ErrorList rows={data.errors} total={data.total} busy={query.isPlaceholderData} title={`Nothing failed in the ${hoursInWords(hours)}`} />
        </>
      )}
    </Loaded>
  );
}

/** The failures of a bar of a chart: the API has windows up to now only, so they are picked from its newest ones. */
function OfRange({ range, hours }: { range: Range; hours: number }) {
  const route = useRoute();
  const { page, limit } = paging(route.params);
  const query = useAllErrors({ hours, range }, route.params, true);
  const oldest = query.data?.rows.at(-1)?.occurred_at;
  const isCut = query.data !== undefined && query.data.total > query.data.rows.length && oldest !== undefined && new Date(oldest) > range.from;
  return (
    <Loaded query={query} what="errors">
      {(data) => {
        const rows = data.rows.filter((row) => isIn(range, row.occurred_at));
        return (
          <>
            <Notice
              tone={isCut ? "warn" : "info"}
              title={`Failed from ${rangeInWords(range)}`}
              action={
                <a class="button" href={changed(route, { from: null, to: null, page: null })}>
                  All of the window
                </a>
              }
            >
              By when they failed: they may have begun earlier.
              {isCut && ` Only the newest ${count(data.rows.length)} failures were searched: there may be more.`}
            </Notice>
            {rows.length > 0 && <BreakdownCard rows={rows} total={rows.length} isCut={isCut} />}
            <ErrorList
              rows={rows.slice((page - 1) * limit, page * limit)}
              total={rows.length}
              busy={false}
              title={isCut ? `None among the newest ${plural(data.rows.length, "failure")}` : "Nothing failed in that time"}
            />
          </>
        );
      }}
    </Loaded>
  );
}

interface ErrorListProps {
  rows: readonly ErrorRow[];
  total: number;
  busy: boolean;
  /** What stands where there is no failure. */
  title: string;
}

const ErrorList = ({ rows, total, busy, title }: ErrorListProps) => (
  <Listing
    caption="Failed executions"
    columns={COLUMNS}
    rows={rows}
    total={total}
    id={(row) => row.execution_id}
    busy={busy}
    empty={{ icon: "check", title, hint: "An execution that fails appears here within seconds." }}
  />
);

/** What the failures of a window have in common: types as the API counts them, all else from the newest failures. */
function Breakdown({ hours, types }: { hours: number; types: Readonly<Record<string, number>> }) {
  const { params } = useRoute();
  const byType = groupOf(params) === "error_type";
  const query = useAllErrors({ hours, range: null }, params, !byType);
  const { data, isLoading } = query;
  const problem = byType ? null : problemOf(query);
  return <BreakdownCard rows={data?.rows ?? []} total={data?.total ?? 0} {...(byType && { types })} isLoading={isLoading} problem={problem} />;
}

/** What failures are counted by. Those of one type have something else in common. */
function groupOf({ by, error_type }: Params): Group {
  const group = GROUP_NAMES.find((name) => name === by) ?? "error_type";
  return error_type !== undefined && group === "error_type" ? "user_email" : group;
}

/** Parts of a breakdown that are shown at first. */
const FIRST = 5;

interface BreakdownProps {
  rows: readonly ErrorRow[];
  /** Failures that there are; `rows` may be the newest of them. */
  total: number;
  /** All types with their counts, if the API has counted them. */
  types?: Readonly<Record<string, number>>;
  isLoading?: boolean;
  /** Why the failures can't be read. */
  problem?: Error | null;
  /** Whether there may be more failures than were read. */
  isCut?: boolean;
}

function BreakdownCard({ rows, total, types, isLoading = false, problem = null, isCut = false }: BreakdownProps) {
  const { params } = useRoute();
  const [all, setAll] = useState(false);
  const group = groupOf(params);
  const parts = types ? ofTypes(types) : breakdown(rows, group);
  return (
    <section class="card breakdown" aria-labelledby="breakdown">
      <header class="card-head">
        <h2 id="breakdown">What they have in common</h2>
        <GroupChoice group={group} />
      </header>
      <ul class="bars" aria-busy={isLoading && problem === null}>
        {(all ? parts : parts.slice(0, FIRST)).map((part) => (
          <li key={part.value ?? ""}>
            <PartName part={part} group={group} />
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
          {problem ? `${sentence(problem)} The failures can't be read.` : isLoading && "Reading the failures…"}
          {types ? extent(sum(parts), sum(parts)) : extent(rows.length, total, isCut)}
        </span>
      </footer>
    </section>
  );
}

function GroupChoice({ group }: { group: Group }) {
  const route = useRoute();
  const names = GROUP_NAMES.filter((name) => route.params["error_type"] === undefined || name !== "error_type");
  return (
    <nav class="segments" aria-label="Counted by">
      {names.map((name) => (
        <a key={name} href={changed(route, { by: name })} aria-current={name === group ? "true" : undefined}>
          {GROUPS[name]}
        </a>
      ))}
    </nav>
  );
}

const sum = (parts: readonly Part[]) => parts.reduce((sum, part) => sum + part.count, 0);

function PartName({ part: { value }, group }: { part: Part; group: Group }) {
  const route = useRoute();
  if (value === null) return <span class="faint">unknown</span>;
  const name = <Foreign text={value} email={group === "user_email"} />;
  if (group === "error_type") return <a href={changed(route, { error_type: value, page: null, open: null })}>{name}</a>;
  if (group === "user_email") return <a href={userLink(null, value)}>{name}</a>;
  return <span>{name}</span>;
}
