/** What became of several users: a result for each, and how far each deactivation is. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { OneResult, UserRow } from "../api/types";
import { count, plural } from "../format";
import { userLink } from "../links";
import { Foreign, Status } from "../ui/parts";
import { isDone, LONG_MS, steps } from "./progress";
import { useWaiting } from "./waiting";
import { useWatchedUser } from "./watching";

/** So many users are watched at once, in turns: each is a request every two seconds at first. */
const WATCHED = 10;

export const isDeactivated = ({ result }: OneResult): boolean => result === "deactivated" || result === "already";

interface Props {
  users: readonly UserRow[];
  results: readonly OneResult[];
  onClose: () => void;
}

export function BulkResults({ users, results, onClose }: Props) {
  // This is shown as soon as the answer is there.
  const [answeredAt] = useState(Date.now);
  const [stopped, setStopped] = useState<ReadonlySet<string>>(new Set());
  const waiting = useWaiting();
  // Who is watched next comes first.
  const [ids, setIds] = useState(() => results.filter(isDeactivated).map(({ user_id }) => user_id));
  const left = ids.filter((id) => !stopped.has(id));
  const watched = left.slice(0, WATCHED);
  const putLast = (id: string) => setIds((before) => [...before.filter((other) => other !== id), id]);
  const failed = results.length - ids.length;
  return (
    <>
      <p role="status">
        {failed === 0 ? "All are deactivated." : `${plural(failed, "user")} could not be deactivated.`}{" "}
        {ids.length > 0 && (left.length === 0 ? "Sessions, keys and tasks of the deactivated users are stopped." : `${count(stopped.size)} of ${count(ids.length)} stopped so far.`)}
      </p>
      <ul class="people">
        {results.map((result) => (
          <Result
            key={result.user_id}
            result={result}
            user={users.find((user) => user.id === result.user_id)}
            answeredAt={answeredAt}
            isWatched={watched.includes(result.user_id)}
            isStopped={stopped.has(result.user_id)}
            onStopped={() => setStopped((before) => new Set([...before, result.user_id]))}
            onUnchanged={left.length > WATCHED ? () => putLast(result.user_id) : null}
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
  /** When the request was answered, in milliseconds since 1970. */
  answeredAt: number;
  isWatched: boolean;
  isStopped: boolean;
  onStopped: () => void;
  /** What to do when nothing has changed for {@link LONG_MS}, so that others get their turn; null if there are none. */
  onUnchanged: (() => void) | null;
  onOpen: () => void;
}

function Result({ result, user, answeredAt, isWatched, isStopped, onStopped, onUnchanged, onOpen }: ResultProps) {
  const { data, dataUpdatedAt } = useWatchedUser(isWatched ? result.user_id : undefined);
  // What was read before says nothing of what the request did: the user may have been deactivated before, and reactivated since.
  const all = data && dataUpdatedAt >= answeredAt ? steps(data, result.tasks_paused ?? null) : null;
  const stopsNow = all !== null && isDone(all);
  useEffect(() => {
    if (stopsNow) onStopped();
  }, [stopsNow]);
  const words = all?.map((step) => step.words).join();
  const isTurn = isWatched && onUnchanged !== null;
  useEffect(() => {
    if (!isTurn) return undefined;
    const timer = setTimeout(() => onUnchanged?.(), LONG_MS);
    return () => clearTimeout(timer);
  }, [isTurn, words]);
  const pending = useRef<readonly string[] | undefined>(undefined);
  if (all) pending.current = all.filter((step) => !step.done).map(({ name }) => name);
  return (
    <li>
      <a href={userLink(result.user_id, user?.email ?? null)} onClick={onOpen}>
        <Foreign text={user?.email || result.user_id} email />
      </a>
      <span class="result">
        <Status of={result.result} />
        <span class="faint small">{explained(result, isStopped, pending.current)}</span>
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
