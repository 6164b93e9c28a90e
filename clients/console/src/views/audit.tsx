/** Who called what. */
import { useQuery } from "@tanstack/preact-query";
import { useMemo } from "preact/hooks";
import { request } from "../api/client";
import { type Names, useList, useNames } from "../api/queries";
import type { AuditPage, AuditRecord, AuditRow } from "../api/types";
import { ACTIONS, inWords } from "../actions";
import { newestFirst, targetKind, type TargetKind, targets, usersOf } from "../audit";
import { duration, plural } from "../format";
import { taskLink, userLink } from "../links";
import { href, paging, type Params } from "../place";
import { changesReads, CHANGES_READ, EVERYTHING, hoursOf, READS, showsChanges } from "../reads";
import { useRoute } from "../route";
import { Choice, Entry, Filters, HoursChoice, hoursInWords, idFault } from "../ui/filters";
import { Listing } from "../ui/listing";
import { Loaded, Page, Panel, Section } from "../ui/page";
import { BothTimes, Fact, Facts, Foreign, Id, Named, None, Notice, Time } from "../ui/parts";
import type { Column } from "../ui/table";
import { shortened, visible } from "../text";

const record = (row: AuditRow): AuditRecord | null => ("missing" in row ? null : row);

const requestInWords = (row: AuditRow): string => ("missing" in row ? "Someone has removed this record" : inWords(row));

const columnsOf = (names: Names): readonly Column<AuditRow>[] => [
  { label: "When", cell: (row) => (record(row) ? <Time at={record(row)?.at} /> : <strong>Removed</strong>), track: "minmax(152px, 1fr)" },
  { label: "Action", cell: (row) => <Foreign text={requestInWords(row)} line />, track: "minmax(0, 1.5fr)" },
  { label: "By", cell: (row) => <Person id={record(row)?.principal.user_id} names={names} />, track: "minmax(0, 1.6fr)" },
  { label: "About", cell: (row) => <About record={record(row)} names={names} />, wide: true, extra: true, track: "minmax(0, 1.6fr)" },
  { label: "Status", cell: (row) => record(row)?.status ?? <None />, numeric: true, track: "84px" },
  { label: "From", cell: (row) => <Foreign text={record(row)?.source ?? null} line />, extra: true, track: "minmax(0, 1fr)" },
];

const Person = ({ id, names }: { id: string | null | undefined; names: Names }) => (id ? <Named id={id} name={names.get(id)} email /> : <None />);

/** The newest changes of all kinds: the console itself reads all the time. */
function useChanges(params: Params, enabled: boolean) {
  const reads = changesReads(params);
  return useQuery({
    queryKey: ["admin/audit", "changes", ...reads],
    enabled,
    queryFn: async ({ signal }): Promise<AuditPage & { cut: boolean }> => {
      const pages = await Promise.all(reads.map(({ path, query }) => request<AuditPage>(path, { query, signal })));
      const records = newestFirst(pages.flatMap((page) => page.records));
      const cut = pages.some((page) => page.total > CHANGES_READ);
      return { records, total: records.length, page: 1, limit: records.length, cut };
    },
  });
}

/** What a request is about: one user by name, several by their number, anything else by the beginning of its id. */
function About({ record, names }: { record: AuditRecord | null; names: Names }) {
  const [id, ...others] = record ? targets(record) : [];
  if (record === null || id === undefined) return <None />;
  const kind = targetKind(record);
  if (kind === "User") return others.length > 0 ? <>{plural(others.length + 1, "user")}</> : <Person id={id} names={names} />;
  return (
    <span class="line">
      {kind} <code class="faint">{visible(shortened(id, 8))}</code>
    </span>
  );
}

export function Audit() {
  const { params } = useRoute();
  const hours = hoursOf(params);
  const { page, limit } = paging(params);
  const changes = showsChanges(params);
  const list = useList<AuditPage>(READS.audit(params), { enabled: !changes });
  const together = useChanges(params, changes);
  const query = changes ? together : list;
  const all = query.data?.records ?? [];
  const records = changes ? all.slice((page - 1) * limit, page * limit) : all;
  const names = useNames(usersOf(records));
  const columns = useMemo(() => columnsOf(names), [names]);
  const open = params["open"];
  const row = all.find((row) => row.id === open);
  return (
    <Page
      title="Audit"
      about="Who called what, from the sealed audit trail. A request appears about a minute after it was made. What events change, such as a deletion at Clerk, is no request: it is in the user's History."
      filters={<AuditFilters />}
      detail={open && <AuditPanel row={row} names={names} />}
    >
      <Loaded query={query} what="audit records">
        {(data) => (
          <>
            {changes && together.data?.cut && (
              <Notice tone="warn" title={`Only the newest ${CHANGES_READ} changes of each kind`}>
                Choose one kind of change, or a shorter window, to see all.
              </Notice>
            )}
            <Listing
              caption="Audit records"
              columns={columns}
              rows={records}
              total={data.total}
              id={(row) => row.id}
              busy={query.isPlaceholderData}
              empty={{ icon: "audit", title: `No such requests in the ${hoursInWords(hours)}`, hint: "A request appears about a minute after it was made." }}
            />
          </>
        )}
      </Loaded>
    </Page>
  );
}

const AuditFilters = () => (
  <Filters>
    <Choice
      name="action"
      label="Action"
      options={[["", "All changes"], [EVERYTHING, "Everything"], ...Object.entries(ACTIONS)]}
    />
    <HoursChoice />
    <Entry name="principal" label="By" placeholder="Id of an administrator" check={idFault} wide />
  </Filters>
);

function AuditPanel({ row, names }: { row: AuditRow | undefined; names: Names }) {
  const found = row && record(row);
  if (row === undefined) {
    return (
      <Panel kind="Audit record" title="Audit record">
        <Notice tone="info" title="This record is not on this page of the list." />
      </Panel>
    );
  }
  if (!found) {
    return (
      <Panel kind="Audit record" title="Removed">
        <Notice tone="bad" title="Someone has removed this record after it was sealed.">
          Verify the trail offline: <code>cargo audit-verify</code>.
        </Notice>
        <Id id={row.id} what="the record's id" />
      </Panel>
    );
  }
  return (
    <Panel kind="Audit record" title={<Foreign text={inWords(found)} />}>
      <Facts>
        <Fact name="When">
          <BothTimes at={found.at} />
        </Fact>
        <Fact name="By">
          <PersonLink id={found.principal.user_id} names={names} />
        </Fact>
        <Fact name={targetKind(found) ?? "About"}>
          {targets(found).length === 0 && <None />}
          {targets(found).map((id) => (
            <TargetLink key={id} kind={targetKind(found)} id={id} names={names} />
          ))}
        </Fact>
        <Fact name="Action">
          <code>
            <Foreign text={found.action} whole />
          </code>
        </Fact>
        <Fact name="Answer">
          {found.status}, after {duration(found.duration_ms)}
        </Fact>
        <Fact name="Credentials">
          {found.method === "api_key" ? "API key" : "Session"} <Foreign text={found.principal.key_id} whole />
        </Fact>
        {found.principal.impersonator && (
          <Fact name="Impersonated by">
            <Foreign text={found.principal.impersonator} whole />
          </Fact>
        )}
        <Fact name="From">
          <Foreign text={found.source} whole />
        </Fact>
        <Fact name="Program">
          <Foreign text={found.user_agent} whole />
        </Fact>
        <Fact name="Request">
          <Id id={found.request_id} what="the request's id" />
        </Fact>
      </Facts>
      {Object.keys(found.parameters).length > 0 && (
        <Section title="Parameters">
          <pre class="message" tabIndex={0} aria-label="Parameters">
            <Foreign text={JSON.stringify(found.parameters, null, 2)} whole />
          </pre>
        </Section>
      )}
    </Panel>
  );
}

function TargetLink({ kind, id, names }: { kind: TargetKind; id: string; names: Names }) {
  if (kind === "User") return <PersonLink id={id} names={names} />;
  return (
    <>
      {kind === "Task" && <a href={taskLink(id)}>Open the task</a>}
      {kind === "Execution" && <a href={href("executions", { open: id })}>Open the execution</a>}
      <Id id={id} what={`the ${kind === null ? "target" : kind.toLowerCase()}'s id`} />
    </>
  );
}

function PersonLink({ id, names }: { id: string | null | undefined; names: Names }) {
  if (!id) return <None />;
  const name = names.get(id);
  return (
    <>
      <a href={userLink(id, name ?? null)}>{name ? <Foreign text={name} email whole /> : "Open the user"}</a>
      <Id id={id} what="the user's id" />
    </>
  );
}
