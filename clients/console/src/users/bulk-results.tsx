/** What became of several users: a result for each, and how far each deactivation is. */
import { useEffect, useState } from "preact/hooks";
import type { OneResult, UserRow } from "../api/types";
import { count, plural } from "../format";
import { userLink } from "../links";
import { Foreign, Status } from "../ui/parts";
import { isDone, LONG_MS, steps } from "./progress";
import { useWatchedUser } from "./watching";

/** So many users are watched at once: each is a request every two seconds at first. */
const WATCHED = 10;

export const isDeactivated = ({ result }: OneResult): boolean => result === "deactivated" || result === "already";

interface Props {
  users: readonly UserRow[];
  results: readonly OneResult[];
  onClose: () => void;
}

export function BulkResults({ users, results, onClose }: Props) {
  const [stopped, setStopped] = useState<ReadonlySet<string>>(new Set());
  const [waiting, setWaiting] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setWaiting(true), LONG_MS);
    return () => clearTimeout(timer);
  }, []);
  const ids = results.filter(isDeactivated).map(({ user_id }) => user_id);
  const left = ids.filter((id) => !stopped.has(id));
  const watched = left.slice(0, WATCHED);
  const failed = results.length - ids.length;
  return (
    <>
      <p role="status">
        {failed === 0 ? "All are deactivated." : `${plural(failed, "user")} could not be deactivated.`}{" "}
        {left.length === 0 ? "Sessions, keys and tasks of the deactivated users are stopped." : `${count(stopped.size)} of ${count(ids.length)} stopped so far.`}
      </p>
      <ul class="people">
        {results.map((result) => (
          <Result
            key={result.user_id}
            result={result}
            user={users.find((user) => user.id === result.user_id)}
            isWatched={watched.includes(result.user_id)}
            isStopped={stopped.has(result.user_id)}
            onStopped={() => setStopped((before) => new Set([...before, result.user_id]))}
            onOpen={onClose}
          />
        ))}
      </ul>
      {left.length > 0 && (
        <p class="faint small">
          {waiting
            ? "Open a user who is not stopped yet: the detail says what waits, and which alarm to look at."
            : "You can close this: it goes on by itself, and each user's detail shows how far it is."}
        </p>
      )}
    </>
  );
}

interface ResultProps {
  result: OneResult;
  user: UserRow | undefined;
  isWatched: boolean;
  isStopped: boolean;
  onStopped: () => void;
  onOpen: () => void;
}

function Result({ result, user, isWatched, isStopped, onStopped, onOpen }: ResultProps) {
  const query = useWatchedUser(isWatched ? result.user_id : undefined);
  const all = query.data ? steps(query.data, result.tasks_paused ?? null) : null;
  const stopsNow = all !== null && isDone(all);
  useEffect(() => {
    if (stopsNow) onStopped();
  }, [stopsNow]);
  const pending = all?.filter((step) => !step.done).map(({ name }) => name);
  return (
    <li>
      <a href={userLink(result.user_id, user?.email ?? null)} onClick={onOpen}>
        <Foreign text={user?.email || result.user_id} />
      </a>
      <span class="result">
        <Status of={result.result} />
        <span class="faint small">{explained(result, isStopped, pending)}</span>
      </span>
    </li>
  );
}

function explained({ result, detail, tasks_paused }: OneResult, isStopped: boolean, pending: readonly string[] | undefined): string {
  if (result === "refused" || result === "not_found") return detail ?? "";
  const paused = tasks_paused === undefined ? "" : `${plural(tasks_paused, "task")} paused`;
  if (isStopped) return [paused, "sessions, keys and tasks are stopped"].filter(Boolean).join(", ");
  return pending === undefined || pending.length === 0 ? "" : `not stopped yet: ${pending.join(", ")}`;
}
