/** Users, newest first; or those whose email begins with something. */
import { useEffect, useState } from "preact/hooks";
import { useList } from "../api/queries";
import type { UserRow, UsersPage } from "../api/types";
import { UserPanel } from "../details/user";
import { count, plural } from "../format";
import { changed } from "../place";
import { READS } from "../reads";
import { go, useRoute } from "../route";
import { isUuid, visibleEmail } from "../text";
import { Choice, Entry, Filters } from "../ui/filters";
import { Listing } from "../ui/listing";
import { Loaded, Page } from "../ui/page";
import { Foreign, Notice, Status, Time } from "../ui/parts";
import type { Column } from "../ui/table";
import { BulkDialog } from "../users/bulk-dialog";
import { MOST_USERS } from "../users/changes";

const COLUMNS: readonly Column<UserRow>[] = [
  { label: "Email", cell: (row) => <Foreign text={row.email || row.id} email line />, wide: true, track: "minmax(0, 1fr)" },
  { label: "State", cell: (row) => <Status of={row.state} />, track: "118px" },
  { label: "Active tasks", cell: (row) => `${count(row.active_tasks_count)} of ${count(row.tasks_count)}`, numeric: true, track: "108px" },
  { label: "Executions, 24 h", cell: (row) => count(row.executions_24h), numeric: true, extra: true, track: "132px" },
  { label: "Notified, 7 d", cell: (row) => count(row.notifications_7d), numeric: true, extra: true, track: "108px" },
  { label: "Created", cell: (row) => <Time at={row.created_at} />, extra: true, track: "154px" },
  { label: "Last login", cell: (row) => <Time at={row.last_login} />, extra: true, track: "158px" },
];

type Selection = ReadonlyMap<string, UserRow>;

export function Users() {
  const route = useRoute();
  const { params } = route;
  const { q } = params;
  const [selected, setSelected] = useState<Selection>(new Map());
  const [asking, setAsking] = useState(false);
  const query = useList<UsersPage>(READS.users(params));
  const open = params["open"];
  const row = query.data?.users.find((row) => row.id === open);
  const isEmail = open !== undefined && !isUuid(open);
  useEffect(() => {
    if (!isEmail || query.data === undefined || query.isPlaceholderData) return;
    const [only, ...others] = ofEmail(query.data.users, open);
    // Of several users with the email one has to choose.
    go(changed(route, { open: only !== undefined && others.length === 0 ? only.id : null }), { replace: true });
  }, [isEmail, query.data, query.isPlaceholderData]);
  const closed = (deactivated: readonly string[]) => {
    setAsking(false);
    setSelected(new Map([...selected].filter(([id]) => !deactivated.includes(id))));
  };
  return (
    <Page
      title="Users"
      about={q ? "Users whose email begins with the search, in alphabetical order." : "Everyone who has signed up. Newest first."}
      filters={
        <Filters>
          <Entry name="q" label="Email begins with" placeholder="ann@" wide check={(text) => (text.length > 320 ? "At most 320 characters." : null)} />
          <Choice
            name="active_only"
            label="State"
            options={[
              ["", "All"],
              ["true", "Active only"],
            ]}
          />
        </Filters>
      }
      detail={open && !isEmail && <UserPanel key={open} id={open} row={row} />}
    >
      <SelectionBar selected={selected} onClear={() => setSelected(new Map())} onDeactivate={() => setAsking(true)} />
      <Loaded query={query} what="users">
        {(data) => (
          <>
            {q && data.total_capped === undefined && !query.isPlaceholderData && (
              <Notice tone="warn" title="This API can't search users yet">
                All users are listed.
              </Notice>
            )}
            <Listing
              caption="Users"
              columns={COLUMNS}
              rows={data.users}
              total={data.total}
              capped={data.total_capped}
              id={(row) => row.id}
              busy={query.isPlaceholderData}
              select={selection(data.users, selected, setSelected)}
              empty={{ icon: "users", title: q ? "No email begins like this" : "No users yet" }}
            />
          </>
        )}
      </Loaded>
      {asking && <BulkDialog users={[...selected.values()]} onClose={closed} />}
    </Page>
  );
}

/** The users with an email, without regard to case and to blanks around it. */
const ofEmail = (users: readonly UserRow[], email: string): UserRow[] => users.filter((row) => row.email !== null && plain(row.email) === plain(email));

const plain = (email: string): string => email.trim().toLowerCase();

/** Boxes in front of the rows; only active users can be chosen. */
function selection(rows: readonly UserRow[], selected: Selection, set: (selection: Selection) => void) {
  const active = rows.filter((row) => row.state === "active");
  const all = active.length > 0 && active.every((row) => selected.has(row.id));
  const choose = (some: readonly UserRow[], wanted: boolean) => {
    const next = new Map(selected);
    for (const row of some) {
      if (wanted) next.set(row.id, row);
      else next.delete(row.id);
    }
    set(next);
  };
  return {
    head: (
      <input
        type="checkbox"
        aria-label="Select all active users of this page"
        checked={all}
        disabled={active.length === 0}
        onChange={() => choose(active, !all)}
      />
    ),
    cell: (row: UserRow) => (
      <input
        type="checkbox"
        aria-label={`Select ${visibleEmail(row.email || row.id)}`}
        checked={selected.has(row.id)}
        disabled={row.state !== "active"}
        onChange={(event) => choose([row], event.currentTarget.checked)}
      />
    ),
  };
}

interface BarProps {
  selected: Selection;
  onClear: () => void;
  onDeactivate: () => void;
}

function SelectionBar({ selected, onClear, onDeactivate }: BarProps) {
  if (selected.size === 0) return null;
  const tooMany = selected.size > MOST_USERS;
  return (
    <div class="selection" role="region" aria-label="Selected users">
      <strong>{plural(selected.size, "user")} selected</strong>
      {tooMany && <span>At most {MOST_USERS} at once.</span>}
      <button type="button" class="button" onClick={onClear}>
        Clear
      </button>
      <button type="button" class="button danger" onClick={onDeactivate} disabled={tooMany}>
        Deactivate…
      </button>
    </div>
  );
}
