/** How fresh the data is, and what hinders it. */
import { useIsFetching, useQueryClient } from "@tanstack/preact-query";
import { useEffect, useState } from "preact/hooks";
import { connection } from "../api/client";
import { ago, clockTime, localTime } from "../format";
import { useStore } from "../store";
import { Icon } from "./icons";
import { Notice } from "./parts";

/** The time, once a second. */
function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

/** When the oldest data on the screen was read, in milliseconds since 1970; 0 if there is none. */
function useOldest(): number {
  const client = useQueryClient();
  const times = client
    .getQueryCache()
    .findAll({ type: "active" })
    .filter((query) => query.state.dataUpdatedAt > 0 && query.queryKey[0] !== "name")
    .map((query) => query.state.dataUpdatedAt);
  return times.length === 0 ? 0 : Math.min(...times);
}

/** Data older than this is pointed out. */
const OLD_MS = 120_000;

export function Freshness() {
  const client = useQueryClient();
  const now = useNow();
  const oldest = useOldest();
  const fetching = useIsFetching() > 0;
  const { failingSince, waitUntil } = useStore(connection);
  const age = now - oldest;
  const isFailing = failingSince !== null || waitUntil > now;
  const state = isFailing ? "bad" : oldest === 0 ? "none" : age > OLD_MS ? "warn" : "good";
  const updated = age < 5000 ? "Up to date" : `Updated ${ago(age)}`;
  const words = oldest === 0 ? "No data yet" : failingSince !== null && age < 5000 ? "No answer" : updated;
  return (
    <span class="freshness">
      <span class={`dot ${state} ${fetching ? "beating" : ""}`} aria-hidden="true" />
      <span class="freshness-words">{words}</span>
      <button
        type="button"
        class="button icon-only quiet"
        title="Refresh now"
        onClick={() => void client.refetchQueries({ type: "active" }, { cancelRefetch: true })}
      >
        <Icon name="refresh" />
        <span class="hidden">Refresh now</span>
      </button>
    </span>
  );
}

/** A banner while the API does not answer, or asks to wait. It has no ages: a screen reader would say each anew. */
export function ConnectionNotice() {
  const client = useQueryClient();
  const now = useNow();
  const oldest = useOldest();
  const { failingSince, waitUntil } = useStore(connection);
  const again = () => void client.refetchQueries({ type: "active" }, { cancelRefetch: true });
  const since = oldest === 0 ? "There is no data yet." : `What you see is of ${localTime(new Date(oldest), new Date(now))}.`;
  if (waitUntil > now) {
    const seconds = Math.ceil((waitUntil - now) / 1000);
    return (
      <Notice tone="warn" title={`Too many requests: going on in ${seconds} s`}>
        The API limits each user's requests. {since}
      </Notice>
    );
  }
  if (failingSince === null) return null;
  return (
    <Notice
      tone="bad"
      title="The API does not answer"
      action={
        <button type="button" class="button" onClick={again}>
          Try now
        </button>
      }
      urgent
    >
      The first failure was at {clockTime(new Date(failingSince))}. {since} The console keeps trying and goes on by itself.
    </Notice>
  );
}
