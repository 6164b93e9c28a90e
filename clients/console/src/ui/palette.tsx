/** The command palette: a page by name, a user by email, a task or execution by id. */
import { useEffect, useId, useState } from "preact/hooks";
import { hasNoEndpoint } from "../api/errors";
import { useExecution, useList, useTask, useUser } from "../api/queries";
import type { UsersPage } from "../api/types";
import { hourOfDay } from "../format";
import { href, VIEWS, type View } from "../place";
import { go } from "../route";
import { minuteIn } from "../schedules";
import { isUuid, shortened, visible, visibleEmail } from "../text";
import { Dialog } from "./dialog";
import { Icon, type IconName } from "./icons";

interface Choice {
  icon: IconName;
  name: string;
  about: string;
  link: string;
}

export const TITLES: Readonly<Record<View, string>> = {
  overview: "Overview",
  executions: "Executions",
  errors: "Errors",
  workflows: "Workflows",
  tasks: "Tasks",
  queries: "Queries",
  schedules: "Schedules",
  users: "Users",
  audit: "Audit",
  health: "Health",
};

/** Shortcuts that have a name of their own. */
const MORE: readonly Choice[] = [
  { icon: "errors", name: "Users with most failures, 24 h", about: "Errors, counted by user", link: href("errors", { by: "user_email" }) },
  { icon: "schedules", name: "Tasks by time of the day", about: "Schedules that run at a time", link: href("schedules") },
  { icon: "health", name: "Quarantine, queue and outbox", about: "Health", link: href("health") },
  { icon: "errors", name: "Errors of the last hour", about: "Page", link: href("errors", { hours: 1 }) },
  { icon: "executions", name: "Failed executions, 24 h", about: "Page", link: href("executions", { status: "failed" }) },
  { icon: "users", name: "Active users", about: "Page", link: href("users", { active_only: "true" }) },
  {
    icon: "audit",
    name: "Changes to users, last 7 days",
    about: "Who deactivated or reactivated whom",
    link: href("audit", { hours: 168 }),
  },
];

const PAGES: readonly Choice[] = [
  ...VIEWS.map((view) => ({ icon: view, name: TITLES[view], about: "Page", link: href(view) })),
  ...MORE,
];

/** A value that has been the same for a moment. */
function useSettled(value: string): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), 150);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}

/** What an id is the id of. An API without details can't say; then each view is offered. */
function useById(text: string): { choices: Choice[]; searching: boolean } {
  const id = isUuid(text) ? text.toLowerCase() : undefined;
  const execution = useExecution(id);
  const task = useTask(id);
  const user = useUser(id);
  if (id === undefined) return { choices: [], searching: false };
  const found = [
    { query: execution, icon: "executions", about: "Execution", name: execution.data?.search_query, link: href("executions", { open: id }) },
    { query: task, icon: "tasks", about: "Task", name: task.data?.name ?? task.data?.search_query, link: href("tasks", { open: id }) },
    { query: user, icon: "users", about: "User", name: user.data?.email, link: href("users", { open: id }) },
  ] as const;
  const choices = found
    .filter(({ query }) => query.data !== undefined || hasNoEndpoint(query.error))
    .map(({ icon, about, name, link }) => ({ icon, about, name: name ?? `${about} ${shortened(id, 8)}`, link }));
  return { choices, searching: found.some(({ query }) => query.isPending) };
}

/** The schedules that run at a time such as `9:00`. */
function byTime(text: string): Choice[] {
  const minute = minuteIn(text.replace(/\s*utc$/i, ""));
  if (minute === null) return [];
  const at = hourOfDay(minute);
  return [{ icon: "schedules", name: `Tasks that run at ${at} UTC`, about: "Schedules", link: href("schedules", { at }) }];
}

/** Whether a text may be a part of an id: hexadecimal digits and hyphens, and at least one digit. */
const isPartOfId = (text: string): boolean => /^[0-9a-f-]{4,}$/i.test(text) && /[0-9]/.test(text) && !isUuid(text);

const nothingFor = (text: string): string =>
  isPartOfId(text) ? "Nothing found. An id must be whole: 36 characters, such as 550e8400-e29b-41d4-a716-446655440000." : "Nothing found.";

/** Whether users can be searched by a text. */
const isSearchable = (text: string): boolean => text.length >= 2 && text.length <= 320 && !isUuid(text);

function useByEmail(text: string): { choices: Choice[]; searching: boolean } {
  const asked = useSettled(text);
  const users = useList<UsersPage>({ path: "admin/users", query: { q: asked, limit: 6 } }, { enabled: isSearchable(asked) });
  if (!isSearchable(text)) return { choices: [], searching: false };
  // Whoever was found by an earlier text is not whom Enter is to open.
  if (asked !== text || users.isPlaceholderData) return { choices: [], searching: true };
  // An API that can't search answers with all users, and without this field.
  if (users.data?.total_capped === undefined) return { choices: [], searching: users.isPending };
  const choices = users.data.users.map((user) => ({
    icon: "users" as const,
    name: user.email || user.id,
    about: user.state === "active" ? "User" : "User, deactivated",
    link: href("users", { q: user.email ?? undefined, open: user.id }),
  }));
  return { choices, searching: users.isFetching };
}

export function Palette({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const list = useId();
  const asked = text.trim();
  const words = asked.toLowerCase().split(/\s+/);
  const pages = PAGES.filter(({ name, about }) => words.every((word) => `${name} ${about}`.toLowerCase().includes(word)));
  const byId = useById(asked);
  const byEmail = useByEmail(asked);
  const choices = [...byId.choices, ...byTime(asked), ...pages, ...byEmail.choices];
  const chosen = choices[Math.min(at, choices.length - 1)];
  useEffect(() => {
    // Not all of them may fit, and what Enter opens is to be seen, whether a key chose it or the text typed.
    if (chosen) document.getElementById(`${list}-${choices.indexOf(chosen)}`)?.scrollIntoView({ block: "nearest" });
  }, [at, chosen?.link]);
  const open = (choice: Choice | undefined) => {
    if (choice === undefined) return;
    onClose();
    go(choice.link);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      setAt((Math.min(at, choices.length - 1) + step + choices.length) % Math.max(1, choices.length));
    }
    if (event.key === "Enter") {
      event.preventDefault();
      open(chosen);
    }
  };
  const searching = byId.searching || byEmail.searching;
  return (
    <Dialog title="Go to" onClose={onClose}>
      <input
        autofocus
        class="palette-input"
        role="combobox"
        aria-expanded="true"
        aria-controls={list}
        aria-activedescendant={chosen && `${list}-${choices.indexOf(chosen)}`}
        aria-label="A page, the beginning of an email, a time, or a whole id"
        placeholder="A page, the beginning of an email, a time, or a whole id"
        autocomplete="off"
        spellcheck={false}
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={onKeyDown}
      />
      <ul class="choices" id={list} role="listbox" aria-label="Found">
        {choices.map((choice, place) => (
          <li
            key={`${choice.name} ${choice.link}`}
            id={`${list}-${place}`}
            role="option"
            aria-selected={choice === chosen}
            onPointerMove={() => setAt(place)}
            onClick={() => open(choice)}
          >
            <Icon name={choice.icon} />
            <bdi class="choice-name">{(choice.icon === "users" ? visibleEmail : visible)(shortened(choice.name, 120))}</bdi>
            <span class="faint small">{choice.about}</span>
          </li>
        ))}
      </ul>
      <p class="faint small" role="status">
        {searching ? "Searching…" : choices.length === 0 ? nothingFor(asked) : "↑ ↓ to choose, Enter to open, Esc to close."}
      </p>
    </Dialog>
  );
}
