/** Deactivating or reactivating one user: what will happen, the email typed, and how far it is. */
import { useQueryClient } from "@tanstack/preact-query";
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { sentence } from "../api/errors";
import type { UserRow } from "../api/types";
import { plural } from "../format";
import { ownId } from "../session";
import { useStore } from "../store";
import { visible } from "../text";
import { Dialog } from "../ui/dialog";
import { Copy, Foreign, Notice } from "../ui/parts";
import { useDeactivate, useReactivate } from "./changes";
import { isDone, LONG_MS, steps } from "./progress";
import { ProgressList } from "./progress-list";
import { useWatchedUser } from "./watching";

interface Props {
  user: UserRow;
  onClose: () => void;
}

export function DeactivateDialog({ user, onClose }: Props) {
  const change = useDeactivate();
  const send = () => change.mutate(user.id);
  if (useStore(ownId) === user.id) return <OwnAccount onClose={onClose} />;
  return (
    <Dialog title={change.isSuccess ? "Deactivated" : "Deactivate this user?"} onClose={onClose}>
      {change.isSuccess ? (
        <Progress user={user} tasksPaused={change.data.tasks_paused} attempt={change.submittedAt} onRepeat={send} onClose={onClose} />
      ) : (
        <Confirmation user={user} verb="Deactivate" danger busy={change.isPending} error={change.error} onSend={send} onClose={onClose}>
          <p>As soon as you confirm:</p>
          <ul class="consequences">
            <li>Every API key and session of this user is refused.</li>
            <li>
              {user.active_tasks_count === 0
                ? "No task has to be paused: none is active."
                : `${plural(user.active_tasks_count, "active task")} will be paused, within seconds.`}
            </li>
            <li>All API keys are revoked for good. Reactivating does not bring them back.</li>
            <li>{user.clerk_user_id ? "The login is blocked at Clerk." : "There is no login at Clerk to block."}</li>
          </ul>
        </Confirmation>
      )}
    </Dialog>
  );
}

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
            Tasks stay paused until the user resumes them. A block of the login at Clerk is lifted there.
          </Notice>
          <DialogEnd onClose={onClose} />
        </>
      ) : (
        <Confirmation user={user} verb="Reactivate" busy={change.isPending} error={change.error} onSend={() => change.mutate(user.id)} onClose={onClose}>
          <p>As soon as you confirm:</p>
          <ul class="consequences">
            <li>The user may use the platform again.</li>
            <li>Paused tasks stay paused, and revoked API keys stay revoked.</li>
            <li>The login stays blocked until somebody lifts the ban at Clerk.</li>
          </ul>
        </Confirmation>
      )}
    </Dialog>
  );
}

export const DialogEnd = ({ onClose }: { onClose: () => void }) => (
  <footer class="dialog-foot">
    <button type="button" class="button primary" onClick={onClose}>
      Close
    </button>
  </footer>
);

interface ConfirmationProps extends Props {
  verb: "Deactivate" | "Reactivate";
  danger?: boolean;
  busy: boolean;
  error: Error | null;
  onSend: () => void;
  children: ComponentChildren;
}

/** Asks for the user's email, so that the wrong row can't be changed by a slip. */
function Confirmation({ user, verb, danger = false, busy, error, onSend, onClose, children }: ConfirmationProps) {
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
        <Foreign text={wanted} whole />
        <Copy text={wanted} what={user.email ? "the email" : "the id"} />
      </p>
      {visible(wanted) !== wanted && (
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
          Nothing is lost by trying again: repeating is safe.
        </Notice>
      )}
      <footer class="dialog-foot">
        <button type="button" class="button" onClick={onClose}>
          Cancel
        </button>
        <button type="submit" class={danger ? "button danger" : "button primary"} disabled={!fits || busy}>
          {busy ? "Sending…" : verb}
        </button>
      </footer>
    </form>
  );
}

interface ProgressProps extends Props {
  tasksPaused: number;
  /** When it was requested last, in milliseconds since 1970. */
  attempt: number;
  onRepeat: () => void;
}

function Progress({ user, tasksPaused, attempt, onRepeat, onClose }: ProgressProps) {
  const client = useQueryClient();
  const query = useWatchedUser(user.id, attempt);
  const known = query.data ?? user;
  const all = steps(known, tasksPaused);
  const done = isDone(all);
  const words = all.map((step) => step.words).join();
  const [waiting, setWaiting] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setWaiting(true), LONG_MS);
    return () => clearTimeout(timer);
  }, []);
  useEffect(() => {
    // The list shows it too.
    void client.invalidateQueries({ queryKey: ["admin/users"] });
  }, [words]);
  return (
    <>
      <p class="subject">
        <Foreign text={user.email || user.id} whole />
      </p>
      <ProgressList user={known} steps={all} waiting={waiting} />
      {!done && <p class="faint small">You can close this: it goes on by itself, and the user's detail shows how far it is.</p>}
      <footer class="dialog-foot">
        {!done && waiting && (
          <button type="button" class="button" onClick={onRepeat}>
            Deactivate once more
          </button>
        )}
        <button type="button" class="button primary" onClick={onClose}>
          {done ? "Done" : "Close"}
        </button>
      </footer>
    </>
  );
}
