/** Signing in with an API key or a session at Clerk, and why one has to again. */
import { useQueryClient } from "@tanstack/preact-query";
import { useEffect, useRef, useState } from "preact/hooks";
import { request } from "../api/client";
import { ApiError, sentence } from "../api/errors";
import { keyOf } from "../api/queries";
import type { Stats } from "../api/types";
import { READS } from "../reads";
import { clerkInstance, clerkSession, goesOnWithClerk, leaveForClerk, placeBeforeClerk, type ClerkInstance } from "../clerk";
import { go } from "../route";
import { begin, malformed, session, type Credentials } from "../session";
import { useStore } from "../store";
import { Notice } from "../ui/parts";

/** A refusal in words that say what to do. */
function explained(error: unknown, what: "key" | "session"): string {
  if (error instanceof ApiError && error.status === 403) return `This ${what} works, but its user is no administrator.`;
  if (error instanceof ApiError && error.status === 401) return `The API refuses this ${what}: ${error.detail}.`;
  const isOfClerk = what === "session" && !(error instanceof ApiError);
  return isOfClerk ? "Clerk or the API does not answer. Try again, or use a key." : sentence(error);
}

/** Begins a session if the API accepts it. */
function useBegin(): (credentials: Credentials) => Promise<void> {
  const client = useQueryClient();
  return async (credentials) => {
    const read = READS.overview({});
    const stats = await request<Stats>(read.path, { credentials });
    // Whichever way of signing in was answered first.
    if (session.get().credentials !== null) return;
    client.clear();
    client.setQueryData(keyOf(read), stats);
    begin(credentials);
  };
}

/** The Clerk instance, and signing in with it. One who comes back from Clerk goes on where they were. */
function useClerk(onFault: (fault: string | null) => void) {
  const [instance, setInstance] = useState<ClerkInstance | null>(null);
  const [busy, setBusy] = useState(false);
  const accept = useBegin();
  const signIn = async (instance: ClerkInstance, mayLeave: boolean) => {
    setBusy(true);
    onFault(null);
    try {
      const clerk = await clerkSession(instance);
      if (clerk !== null) return await accept({ clerk });
      if (mayLeave) return await leaveForClerk(instance);
      onFault("Nobody is signed in at Clerk.");
    } catch (error) {
      onFault(explained(error, "session"));
    }
    setBusy(false);
  };
  useEffect(() => {
    const place = placeBeforeClerk();
    if (place !== null) go(place, { replace: true });
    const goesOn = place !== null || goesOnWithClerk();
    void clerkInstance().then((found) => {
      setInstance(found);
      if (found !== null && goesOn) void signIn(found, false);
    });
  }, []);
  return { busy, signIn: instance && (() => void signIn(instance, true)) };
}

export function SignIn() {
  const { ended } = useStore(session);
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const [seen, setSeen] = useState(false);
  const accept = useBegin();
  const clerk = useClerk(setFault);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    document.title = "Sign in · Torale admin";
    input.current?.focus();
  }, []);
  const submit = async (event: Event) => {
    event.preventDefault();
    const key = input.current?.value.trim() ?? "";
    const wrong = malformed(key);
    setFault(wrong);
    if (wrong !== null || busy) return;
    setBusy(true);
    try {
      await accept({ key });
    } catch (error) {
      setFault(explained(error, "key"));
      setBusy(false);
      input.current?.focus();
    }
  };
  return (
    <main class="sign-in">
      <form class="card" onSubmit={submit} aria-labelledby="sign-in">
        <Brand />
        <h1 id="sign-in">Sign in</h1>
        {ended && (
          <Notice tone="warn" title="You have been signed out" urgent>
            The API says: {ended}. Sign in again to go on where you were.
          </Notice>
        )}
        <label class="field">
          <span>API key of an administrator</span>
          <span class="entry">
            <input
              ref={input}
              type={seen ? "text" : "password"}
              name="api-key"
              placeholder="sk_…"
              autocomplete="off"
              autocapitalize="off"
              spellcheck={false}
              aria-invalid={fault !== null}
              aria-describedby="sign-in-about sign-in-fault"
            />
            <button type="button" class="button" onClick={() => setSeen(!seen)} aria-pressed={seen}>
              {seen ? "Hide" : "Show"}
            </button>
          </span>
        </label>
        <p id="sign-in-fault" class="field-fault" role="alert">
          {fault}
        </p>
        <button type="submit" class="button primary" disabled={busy}>
          {busy ? "Signing in…" : "Sign in"}
        </button>
        {clerk.signIn && (
          <button type="button" class="button" onClick={clerk.signIn} disabled={clerk.busy}>
            {clerk.busy ? "Asking Clerk…" : "Sign in with Clerk"}
          </button>
        )}
        <p id="sign-in-about" class="faint small">
          The key stays in this tab until you close it or sign out. It is sent to this host only.
        </p>
      </form>
    </main>
  );
}

export const Brand = () => (
  <p class="brand">
    <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="8" />
      <circle cx="14" cy="14" r="6.5" />
      <path d="M19 19l6 6" />
    </svg>
    <span>
      Torale <span class="faint">admin</span>
    </span>
  </p>
);
