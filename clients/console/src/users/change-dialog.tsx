/** Deactivating or reactivating one user: what will happen, the email typed, and how far it is. */
import { useQueryClient } from "@tanstack/preact-query";
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { connection } from "../api/client";
import { sentence } from "../api/errors";
import type { Deactivated, UserRow } from "../api/types";
import { plural } from "../format";
import { ownId } from "../session";
import { useStore } from "../store";
import { visibleEmail } from "../text";
import { Dialog } from "../ui/dialog";
import { Copy, Foreign, Notice } from "../ui/parts";
import { adviceAfterReactivation, REPEATING_IS_SAFE, useDeactivate, useReactivate } from "./changes";
import { isDetail, isDone, sendsCommands, stateHolder, steps } from "./progress";
import { ProgressList, UnknownProgress } from "./progress-list";
import { useWaiting } from "./waiting";
import { useWatchedUser } from "./watching";

interface Props {
  user: UserRow;
  onClose: () => void;
}

/** What is said when a request changed nothing, because one before it is in effect. */
export const EARLIER_HOLDS = "An earlier request still holds: what is left is for its commands to stop; if it stays, see the alarms CommandsStuck and, after a day, CommandsDeadLetters.";

interface DeactivateProps extends Props {
  /** Called with the platform's event ({@link stateHolder}) if the request changed nothing, because an earlier one holds. */
  onHeld: (event: string) => void;
}

export function DeactivateDialog({ user, onHeld, onClose }: DeactivateProps) {
  const change = useDeactivate();
  const send = () => change.mutate(user.id);
  // What was answered stays while the request is repeated, and if that fails.
  const answered = useRef<Answered | null>(null);
  if (change.data && change.data !== answered.current?.answer) {
    const now = Date.now();
    answered.current = { answer: change.data, first: answered.current?.first ?? now, last: now };
  }
  // By the event, and not by the state: a reactivation may come between.
  const before = useRef(isDetail(user) && user.state === "deactivated" ? stateHolder(user) : null);
  if (useStore(ownId) === user.id) return <OwnAccount onClose={onClose} />;
  return (
    <Dialog title={answered.current ? "Deactivated" : "Deactivate this user?"} onClose={onClose}>
      {answered.current ? (
        <Progress
          user={user}
          answered={answered.current}
          attempt={change.submittedAt}
          before={before.current}
          busy={change.isPending}
          error={change.error}
          onRepeat={send}
          onHeld={onHeld}
          onClose={onClose}
        />
      ) : (
        <Confirmation user={user} verb="Deactivate" danger change={change} advice={REPEATING_IS_SAFE} onSend={send} onClose={onClose}>
          <p>As soon as you confirm:</p>
          {user.state === "deactivated" ? <RestConsequences user={user} /> : <Consequences user={user} />}
        </Confirmation>
      )}
    </Dialog>
  );
}

const Consequences = ({ user }: { user: UserRow }) => (
  <ul class="consequences">
    <li>Every API key and session of this user is refused.</li>
    <li>
      {user.active_tasks_count === 0
        ? "No task has to be paused: none is active."
        : `${plural(user.active_tasks_count, "active task")} will be paused, within seconds.`}
    </li>
    <KeysAndLogin user={user} login="The login is blocked at Clerk." />
  </ul>
);

/** What is revoked and blocked; `login` says it of a login. */
const KeysAndLogin = ({ user, login }: { user: UserRow; login: string }) => (
  <>
    <li>All API keys are revoked for good. Reactivating does not bring them back.</li>
    <li>{user.clerk_user_id ? login : "There is no login at Clerk to block."}</li>
  </>
);

/** Of a user whom the platform has deactivated. */
const RestConsequences = ({ user }: { user: UserRow }) => (
  <ul class="consequences">
    <li>Commands are sent. They pause the active tasks, within seconds.</li>
    <KeysAndLogin user={user} login="The login at Clerk is blocked, unless it was deleted there." />
    <li>If an earlier request still holds, no commands are sent and nothing of this happens anew: what is left is for its own commands to stop.</li>
  </ul>
);

/** Nobody deactivates themselves: that is said before it is tried. */
const OwnAccount = ({ onClose }: { onClose: () => void }) => (
  <Dialog title="This is your own account" onClose={onClose}>
    <div>
      <Notice tone="warn" title="Administrators cannot deactivate themselves.">
        You are signed in as this user. Ask another administrator to do it.
      </Notice>
      <DialogEnd onClose={onClose} />
    </div>
  </Dialog>
);

export function ReactivateDialog({ user, onClose }: Props) {
  const change = useReactivate();
  return (
    <Dialog title={change.isSuccess ? "Reactivated" : "Reactivate this user?"} onClose={onClose}>
      {change.isSuccess ? (
        <>
          <Notice tone="good" title="The user may use the platform again." urgent>
            Paused tasks stay paused until the user resumes them. A block of the login at Clerk, if there is one, is lifted there.
          </Notice>
          <DialogEnd onClose={onClose} />
        </>
      ) : (
        <Confirmation user={user} verb="Reactivate" change={change} advice={adviceAfterReactivation(change.isUnknown)} onSend={() => change.mutate(user.id)} onClose={onClose}>
          <p>As soon as you confirm:</p>
          <ul class="consequences">
            <li>The user may use the platform again.</li>
            <li>Paused tasks stay paused, and revoked API keys stay revoked.</li>
            <li>{loginAfter(user)}</li>
          </ul>
        </Confirmation>
      )}
    </Dialog>
  );
}

/** What a reactivation leaves of the login. */
const loginAfter = (user: UserRow): string =>
  user.clerk_user_id ? "If the login is blocked at Clerk, it stays so until somebody lifts the ban there." : "There is no login at Clerk.";

export const DialogEnd = ({ onClose }: { onClose: () => void }) => (
  <footer class="dialog-foot">
    <button type="button" class="button primary" onClick={onClose}>
      Close
    </button>
  </footer>
);

/** How far a change is. */
interface Pending {
  isPending: boolean;
  /** Whether it was sent, see `useChange`. */
  isSent: boolean;
}

/** While a change is pending: what closing its dialog does to it. A request that was sent can't be taken back. */
export function WhatClosingDoes({ change }: { change: Pending }) {
  const { waitUntil } = useStore(connection);
  if (!change.isPending) return null;
  if (change.isSent) return <p class="faint small">The request was sent. Closing this does not take it back; it is only not sent again.</p>;
  if (waitUntil <= Date.now()) return null;
  return <p class="faint small">Not sent yet: it waits until the API takes requests again. If you cancel, it is never sent.</p>;
}

/** Closes a dialog with a change in it. Once that was sent, this cancels nothing, and does not say so. */
export const CancelButton = ({ change, onClose }: { change: Pending; onClose: () => void }) => (
  <button type="button" class="button" onClick={onClose}>
    {change.isSent ? "Close" : "Cancel"}
  </button>
);

interface ConfirmationProps extends Props {
  verb: "Deactivate" | "Reactivate";
  danger?: boolean;
  change: Pending & { error: Error | null };
  /** What is said after it has failed. */
  advice: string;
  onSend: () => void;
  children: ComponentChildren;
}

/** Asks for the user's email, so that the wrong row can't be changed by a slip. */
function Confirmation({ user, verb, danger = false, change, advice, onSend, onClose, children }: ConfirmationProps) {
  const { isPending: busy, error } = change;
  const [typed, setTyped] = useState("");
  // A stand-in has no email; its id is asked for then.
  const wanted = user.email || user.id;
  const fits = typed.trim().toLowerCase() === wanted.trim().toLowerCase();
  const submit = (event: Event) => {
    event.preventDefault();
    if (fits && !busy) onSend();
  };
  return (
    <form onSubmit={submit}>
      <p class="subject">
        <Foreign text={wanted} email whole />
        <Copy text={wanted} what={user.email ? "the email" : "the id"} />
      </p>
      {visibleEmail(wanted) !== wanted && (
        <Notice tone="warn" title="This email has invisible characters">
          It may look like another one. Copy it into the field below.
        </Notice>
      )}
      {children}
      <label class="field">
        <span>Type the user's {user.email ? "email" : "id"} to confirm</span>
        <input autofocus value={typed} onInput={(event) => setTyped(event.currentTarget.value)} autocomplete="off" spellcheck={false} />
      </label>
      {error && (
        <Notice tone="bad" title={sentence(error)} urgent>
          {advice}
        </Notice>
      )}
      <WhatClosingDoes change={change} />
      <footer class="dialog-foot">
        <CancelButton change={change} onClose={onClose} />
        <button type="submit" class={danger ? "button danger" : "button primary"} disabled={!fits || busy}>
          {busy ? "Sending…" : verb}
        </button>
      </footer>
    </form>
  );
}

/** What was answered last, and when a request was answered first and last, in milliseconds since 1970. */
interface Answered {
  readonly answer: Deactivated;
  readonly first: number;
  readonly last: number;
}

interface ProgressProps extends DeactivateProps {
  answered: Answered;
  /** When it was requested last, in milliseconds since 1970. */
  attempt: number;
  /** The event that said before the request that the user is deactivated; null if they were not. */
  before: string | null;
  /** Whether the request is being repeated. */
  busy: boolean;
  /** Why the repeated request failed. */
  error: Error | null;
  onRepeat: () => void;
}

function Progress({ user, answered, attempt, before, busy, error, onRepeat, onHeld, onClose }: ProgressProps) {
  const client = useQueryClient();
  const { data, dataUpdatedAt, error: unread, failureReason } = useWatchedUser(user.id, attempt);
  const waiting = useWaiting();
  // What was read before the first request says nothing of what it did. While it is repeated, what was read since stays.
  const known = data !== undefined && dataUpdatedAt >= answered.first ? data : null;
  const all = known && steps(known, answered.answer.tasks_paused);
  const done = all !== null && isDone(all);
  const words = all?.map((step) => step.words).join();
  // The platform's event still says so: the request has sent no event of its own.
  const held = known && dataUpdatedAt >= answered.last && !busy && !sendsCommands(known) && stateHolder(known) === before ? before : null;
  useEffect(() => {
    // The list shows it too.
    void client.invalidateQueries({ queryKey: ["admin/users"] });
  }, [words]);
  useEffect(() => {
    if (held !== null) onHeld(held);
  }, [held]);
  return (
    <>
      <p class="subject">
        <Foreign text={user.email || user.id} email whole />
      </p>
      {known && all ? <ProgressList user={known} steps={all} waiting={waiting} /> : <UnknownProgress problem={unread ?? failureReason} />}
      {held !== null && <Notice tone="info" title={EARLIER_HOLDS} />}
      {error && (
        <Notice tone="bad" title={sentence(error)} urgent>
          {REPEATING_IS_SAFE}
        </Notice>
      )}
      {!done && held === null && <p class="faint small">You can close this: it goes on by itself, and the user's detail shows how far it is.</p>}
      <footer class="dialog-foot">
        {!done && held === null && waiting && (
          <button type="button" class="button" onClick={() => busy || onRepeat()} aria-disabled={busy}>
            {busy ? "Sending…" : "Deactivate once more"}
          </button>
        )}
        <button type="button" class="button primary" onClick={onClose}>
          {done ? "Done" : "Close"}
        </button>
      </footer>
    </>
  );
}
