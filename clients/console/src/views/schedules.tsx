/** Schedules and when each fires next. */
import { useMemo, useRef } from "preact/hooks";
import { type Names, useList, useTaskNames } from "../api/queries";
import type { ScheduleRow, SchedulesPage } from "../api/types";
import { count, hourOfDay, plural } from "../format";
import { taskLink, userLink } from "../links";
import { paging } from "../place";
import { MOST_SCHEDULES, READS, readsAllSchedules } from "../reads";
import { useRoute } from "../route";
import { counted, found, type FoundSchedule, minuteIn, timeFault } from "../schedules";
import { Choice, Entry, Filters } from "../ui/filters";
import { Listing } from "../ui/listing";
import { Loaded, Page, Panel } from "../ui/page";
import { BothTimes, External, Fact, Facts, Foreign, Id, Named, None, Notice, Status, Time, Zone } from "../ui/parts";
import { type Column, TableLoading } from "../ui/table";

/** The columns; `at` is the time of the day that is searched for, or null. */
const columnsOf = (at: number | null, names: Names): readonly Column<FoundSchedule>[] => [
  {
    label: at === null ? "Next run" : `Next at ${hourOfDay(at)} UTC`,
    cell: (found) => <NextRun of={found} isAtTime={at !== null} />,
    // Room for the time in UTC, too, if one searches by it.
    track: at === null ? "minmax(136px, 1fr)" : "minmax(186px, 1fr)",
  },
  { label: "Task", cell: ({ row }) => <Named id={row.task_id} name={names.get(row.task_id)} />, wide: true, track: "minmax(0, 2fr)" },
  { label: "Cron", cell: ({ row }) => <CronText of={row} />, track: "minmax(118px, 1.1fr)" },
  { label: "Zone", cell: ({ row }) => <Zone of={row} />, track: "minmax(0, 1.3fr)" },
  { label: "User", cell: ({ row }) => <Foreign text={row.user_email} email line />, extra: true, track: "minmax(0, 1.5fr)" },
  { label: "Runs, 30 d", cell: ({ row }) => count(row.recent_executions), numeric: true, extra: true, track: "96px" },
  { label: "Temporal", cell: ({ row }) => <External to={row.temporal_ui_url}>Open</External>, extra: true, track: "96px" },
];

/** The run that was searched for, in UTC too: so is what one searches with. */
function NextRun({ of: { row, run }, isAtTime }: { of: FoundSchedule; isAtTime: boolean }) {
  if (row.is_paused) return <Status of="paused" />;
  return isAtTime ? <BothTimes at={run?.toISOString()} /> : <Time at={row.next_run_time} />;
}

const CronText = ({ of }: { of: ScheduleRow }) => (
  <code>
    <Foreign text={of.cron} line />
  </code>
);

export function Schedules() {
  const { params } = useRoute();
  const { page, limit } = paging(params, MOST_SCHEDULES);
  const { at = "", find = "" } = params;
  const isSearch = at !== "" || find !== "";
  // The address may name a time that there is none of.
  const fault = at === "" ? null : timeFault(at);
  // All schedules are read then (at most 10,000), and found here.
  const whole = readsAllSchedules(params);
  const query = useList<SchedulesPage>(READS.schedules(params), { slow: whole });
  const all = query.data?.schedules;
  // What the last answer of another list was about: its number is that of this one only if both have the same filter.
  const lastPaused = useRef<string>();
  if (query.data && !query.isPlaceholderData) lastPaused.current = params["include_paused"];
  const chosen = useMemo(() => (fault !== null ? [] : isSearch ? found(all ?? [], at, find, new Date()) : (all ?? []).map((row) => ({ row, run: null }))), [all, at, find]);
  const shown = whole ? chosen.slice((page - 1) * limit, page * limit) : chosen;
  const names = useTaskNames(shown.map(({ row }) => row.task_id));
  const columns = useMemo(() => columnsOf(minuteIn(at), names), [at, names]);
  const open = params["open"];
  const row = query.data?.schedules.find((row) => row.schedule_id === open);
  const run = chosen.find((found) => found.row === row)?.run;
  return (
    <Page
      title="Schedules"
      about="When each task runs. Newest schedules first; those of a search by when they run."
      filters={
        <Filters>
          <Choice
            name="include_paused"
            label="Paused"
            options={[
              ["", "Left out"],
              ["true", "Included"],
            ]}
          />
          <Entry name="at" label="Runs at (UTC)" placeholder="09:00" check={timeFault} />
          <Entry name="find" label="Find" placeholder="Email, cron expression, zone or id" wide />
        </Filters>
      }
      detail={open && <SchedulePanel row={row} name={row && names.get(row.task_id)} at={minuteIn(at)} run={run} />}
    >
      <Loaded query={query} what="schedules" loading={isSearch && <ReadingAll />}>
        {(data) => {
          const isPart = data.schedules.length < data.total;
          // The rows of another list are still shown while all are read: not among these is not yet nowhere.
          if (isSearch && query.isPlaceholderData && (isPart || chosen.length === 0)) {
            return <ReadingAll number={lastPaused.current === params["include_paused"] ? data.total : undefined} />;
          }
          if (fault !== null) return <Notice tone="warn" title="This is no time of the day">{fault}</Notice>;
          return (
            <>
              {whole && isPart && !query.isPlaceholderData && (
                <Notice tone="warn" title={`These are of the newest ${count(data.schedules.length)} of ${count(data.total)} schedules`} />
              )}
              {minuteIn(at) !== null && chosen.length > 0 && <Counted all={chosen} at={at} />}
              <Listing
                caption="Schedules"
                columns={columns}
                rows={shown}
                total={whole ? chosen.length : data.total}
                most={MOST_SCHEDULES}
                id={({ row }) => row.schedule_id}
                busy={query.isPlaceholderData}
                empty={{ icon: "schedules", title: isSearch ? "No schedule fits the search" : "No active schedules" }}
              />
            </>
          );
        }}
      </Loaded>
    </Page>
  );
}

/** How many of what was found run soon: what runs only after the next change of a clock is found, too. */
function Counted({ all, at }: { all: readonly FoundSchedule[]; at: string }) {
  const { soon, later, paused } = counted(all, new Date());
  const time = `${hourOfDay(minuteIn(at) ?? 0)} UTC`;
  const parts = [`${plural(soon, "schedule")} ${soon === 1 ? "runs" : "run"} at ${time} within the next 24 hours`];
  if (later > 0) parts.push(`${count(later)} only later, such as weekly ones and those after a clock change`);
  if (paused > 0) parts.push(`${count(paused)} would if ${paused === 1 ? "it were" : "they were"} not paused`);
  return <p class="counted">{parts.join("; ")}.</p>;
}

/** All schedules are being read to search them. The number is known if a page of the same ones has been read. */
const ReadingAll = ({ number }: { number?: number | undefined }) => (
  <TableLoading columns={6} text={`Reading all ${number === undefined ? "" : `${count(number)} `}schedules, to search them…`} />
);

interface PanelProps {
  row: ScheduleRow | undefined;
  name: string | null | undefined;
  /** The time of the day that is searched for, or null. */
  at: number | null;
  /** When it runs first at that time. */
  run: Date | null | undefined;
}

function SchedulePanel({ row, name, at, run }: PanelProps) {
  return (
    <Panel kind="Schedule" title={row ? <CronText of={row} /> : "Schedule"}>
      {row === undefined && <Notice tone="info" title="This schedule is not on this page of the list." />}
      {row && (
        <Facts>
          <Fact name="State">
            <Status of={row.is_paused ? "paused" : "active"} />
          </Fact>
          <Fact name="Cron">
            <code>
              <Foreign text={row.cron} whole />
            </code>
          </Fact>
          <Fact name="Zone">
            <Zone of={row} />
          </Fact>
          <Fact name="Next run">
            <BothTimes at={row.next_run_time} />
          </Fact>
          {at !== null && run && run.getTime() !== Date.parse(row.next_run_time ?? "") && (
            <Fact name={`At ${hourOfDay(at)}`}>
              <BothTimes at={run.toISOString()} />
            </Fact>
          )}
          <Fact name="Runs">{count(row.recent_executions)} in the last 30 days</Fact>
          <Fact name="User">
            {row.user_email === null ? (
              <None />
            ) : (
              <a href={userLink(null, row.user_email)}>
                <Foreign text={row.user_email} email whole />
              </a>
            )}
          </Fact>
          <Fact name="Task">
            <a href={taskLink(row.task_id)}>{name ? <Foreign text={name} whole /> : "Open the task"}</a>
            <Id id={row.task_id} what="the task's id" />
          </Fact>
          <Fact name="Schedule">
            <Id id={row.schedule_id} what="the schedule's id" />
          </Fact>
          <Fact name="Temporal">
            <External to={row.temporal_ui_url}>Open this schedule</External>
          </Fact>
        </Facts>
      )}
    </Panel>
  );
}
