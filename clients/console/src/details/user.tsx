/** One user: state, keys, tasks, how far a deactivation is, and who says so. */
import { useRef, useState } from "preact/hooks";
import { apiNow } from "../api/client";
import { problemOf } from "../api/errors";
import { useNames, useUser } from "../api/queries";
import type { ApiKey, UserDetail, UserRow } from "../api/types";
import { ago, count, duration, plural } from "../format";
import { userLink } from "../links";
import { href } from "../place";
import { isUuid } from "../text";
import { Icon } from "../ui/icons";
import { Panel, Section } from "../ui/page";
import { BothTimes, Fact, Facts, Foreign, Id, None, Notice, Status, Time } from "../ui/parts";
import { DeactivateDialog, EARLIER_HOLDS, ReactivateDialog } from "../users/change-dialog";
import { COMMANDS_STALL_MS, isExpected, leftSteps, LONG_MS, sendsCommands, STALL_MS, stateHolder, steps } from "../users/progress";
import { ProgressList, UnknownProgress } from "../users/progress-list";
import { overdue, type ObservedUser } from "../users/sightings";
import { History } from "./history";
import { Missing } from "./missing";

export function UserPanel({ id, row }: { id: string; row: UserRow | undefined }) {
  const query = useUser(id);
  const [asking, setAsking] = useState<"deactivate" | "reactivate" | null>(null);
  // The event of the platform beside which an earlier request holds, as a repeated one has shown.
  const [held, setHeld] = useState<string | null>(null);
  // A user may leave the list while their detail is open, for example one of active users only.
  const last = useRef<UserRow | undefined>(undefined);
  const user: UserRow | undefined = query.data ?? row ?? last.current;
  last.current = user;
  return (
    <Panel
      kind="User"
      title={user ? <Foreign text={user.email || user.id} email /> : "User"}
      actions={user && <Actions user={user} onAsk={setAsking} />}
    >
      <Missing query={query} hasRow={user !== undefined} what="users" />
      {user && <UserFacts user={user} />}
      {query.data?.state === "deactivated" && (
        <Deactivation user={query.data} isHeld={held !== null && held === stateHolder(query.data)} onAsk={() => setAsking("deactivate")} />
      )}
      {query.data === undefined && user?.state === "deactivated" && (
        <Section title="Deactivation">
          <UnknownProgress problem={problemOf(query)} />
        </Section>
      )}
      {query.data && <Keys keys={query.data.api_keys} />}
      {query.data && <History events={query.data.history} />}
      {user && asking === "deactivate" && <DeactivateDialog user={user} onHeld={setHeld} onClose={() => setAsking(null)} />}
      {user && asking === "reactivate" && <ReactivateDialog user={user} onClose={() => setAsking(null)} />}
    </Panel>
  );
}

function Actions({ user, onAsk }: { user: UserRow; onAsk: (what: "deactivate" | "reactivate") => void }) {
  return (
    <>
      {user.state === "active" ? (
        <button type="button" class="button danger" onClick={() => onAsk("deactivate")}>
          <Icon name="stop" />
          Deactivate…
        </button>
      ) : (
        <button type="button" class="button" onClick={() => onAsk("reactivate")}>
          Reactivate…
        </button>
      )}
      <a class="button" href={href("tasks", { user_id: user.id })}>
        Tasks
      </a>
      <a class="button" href={href("audit", { principal: user.id, action: "all", hours: 720 })}>
        Their requests
      </a>
    </>
  );
}

function UserFacts({ user }: { user: UserRow | UserDetail }) {
  return (
    <Facts>
      <Fact name="State">
        <Status of={user.state} />
      </Fact>
      {"role" in user && <Fact name="Role">{user.role === null ? <None /> : <Foreign text={user.role} whole />}</Fact>}
      <Fact name="Email">
        <Foreign text={user.email} email whole />
      </Fact>
      <Fact name="Tasks">
        {plural(user.tasks_count, "task")}, {count(user.active_tasks_count)} of them active
      </Fact>
      <Fact name="Executions">{count(user.executions_24h)} in the last 24 hours</Fact>
      <Fact name="Notifications">{count(user.notifications_7d)} in the last 7 days</Fact>
      <Fact name="Created">
        <BothTimes at={user.created_at} />
      </Fact>
      <Fact name="Last login">
        <BothTimes at={user.last_login} />
      </Fact>
      <Fact name="User">
        <Id id={user.id} what="the user's id" />
      </Fact>
      {user.clerk_user_id && (
        <Fact name="Clerk">
          <Id id={user.clerk_user_id} what="the id at Clerk" />
        </Fact>
      )}
    </Facts>
  );
}

interface DeactivationProps {
  user: ObservedUser;
  /** Whether it is known that an earlier request still holds, although the platform's event came later. */
  isHeld: boolean;
  onAsk: () => void;
}

function Deactivation({ user, isHeld, onAsk }: DeactivationProps) {
  const { deactivation } = user;
  const age = deactivation === null ? 0 : apiNow() - Date.parse(deactivation.at);
  // The deactivation's time is whatever its event says, and may lie ahead.
  const isWaiting = age > LONG_MS || Object.values(user.pendingMs).some((ms) => ms > LONG_MS);
  return (
    <Section title="Deactivation">
      <OverdueNotice user={user} />
      {deactivation && (
        <Facts>
          <Fact name="When">
            <BothTimes at={deactivation.at} />
          </Fact>
          <Fact name="By">
            <By who={deactivation.by} />
          </Fact>
        </Facts>
      )}
      {sendsCommands(user) ? (
        <ProgressList user={user} steps={steps(user, deactivation?.tasks_paused ?? null)} waiting={isWaiting} />
      ) : (
        <ByPlatform user={user} isHeld={isHeld} onAsk={onAsk} />
      )}
    </Section>
  );
}

/** What of a deactivation should be done by now and is not. */
function OverdueNotice({ user }: { user: ObservedUser }) {
  const now = apiNow();
  const { stalled, unsure } = overdue(user, now);
  if (user.deactivation === null || stalled.length + unsure.length === 0) return null;
  const age = now - Date.parse(user.deactivation.at);
  const since = `${age < 0 ? "" : `Deactivated ${ago(age)}. `}Not done`;
  if (stalled.length === 0) {
    return (
      <Notice tone="warn" title="Not everything is stopped">
        {since}: {unsure.map((step) => `${step.name} (${seenFor(user.pendingMs[step.name] ?? 0)})`).join(", ")}. Whether it has stalled is not known: what is left may have come late.
        What stays unchanged for {duration(COMMANDS_STALL_MS)} (commands) or {duration(STALL_MS)} (tasks and keys) while you look is shown as stalled.
      </Notice>
    );
  }
  return (
    <Notice tone="bad" title="This deactivation has stalled">
      {since}: {stalled.map(({ name }) => name).join(", ")}. It will hardly end by itself: what to do stands next to each.
    </Notice>
  );
}

/** For how long something is seen, in whole minutes. */
const seenFor = (ms: number): string => (ms < 60_000 ? "seen just now" : `seen so for ${Math.floor(ms / 60_000)} min`);

/** What is left of a user whom the platform deactivated: whether commands stop it is not known. */
function ByPlatform({ user, isHeld, onAsk }: DeactivationProps) {
  const left = leftSteps(user);
  const wasRequested = user.deactivation !== null && user.deactivation.tasks_paused !== null;
  return (
    <>
      <p class="faint">
        The platform's own event deactivated this user. Keys and sessions are refused.{" "}
        {isHeld ? EARLIER_HOLDS : wasRequested ? IF_REACTIVATED : "Nobody requested it here: unless the login was deleted at Clerk, no commands stop the tasks and keys."}
      </p>
      <Facts>
        {steps(user, null)
          .filter(({ name, done }) => name === "Tasks" || name === "API keys" || !done)
          .map((step) => (
            <Fact key={step.name} name={step.name}>
              {step.words}
              {!step.done && (isHeld || isExpected(user, step)) && <span class="advice">{step.advice}</span>}
            </Fact>
          ))}
      </Facts>
      {left.length > 0 && !isHeld && (
        <p>
          <button type="button" class="button danger" onClick={onAsk}>
            <Icon name="stop" />
            Deactivate here too…
          </button>
        </p>
      )}
    </>
  );
}

const IF_REACTIVATED =
  "A deactivation was requested here before, too. If the user was reactivated since then, no commands stop the tasks and keys; if not, they are for the commands of that request to stop; if they stay, see the alarms CommandsStuck and, after a day, CommandsDeadLetters.";

/** Who deactivated a user: an administrator, or whatever the platform says. */
function By({ who }: { who: string | null }) {
  if (who === null) return <span class="faint">an event, not a request</span>;
  return isUuid(who) ? <Administrator id={who} /> : <Foreign text={who} whole />;
}

/** Who requested a deactivation, by name. */
function Administrator({ id }: { id: string }) {
  const name = useNames([id]).get(id);
  return <a href={userLink(id, name ?? null)}>{name ? <Foreign text={name} email whole /> : "Open the administrator"}</a>;
}

export function Keys({ keys }: { keys: readonly ApiKey[] }) {
  return (
    <Section title="API keys">
      {keys.length === 0 && <p class="faint">No API key.</p>}
      <ul class="rows keys">
        {keys.map((key) => (
          <li key={key.key_id}>
            <span>
              <Foreign text={key.name ?? "Without a name"} />{" "}
              <code class="faint">
                <Foreign text={key.key_prefix ?? key.key_id} whole />
              </code>
            </span>
            <Status of={key.revoked ? "revoked" : "active"} />
            <span class="faint small">
              {key.last_used_at === null ? "never used" : <>last used <Time at={key.last_used_at} /></>}
            </span>
          </li>
        ))}
      </ul>
    </Section>
  );
}
