/** Signing in with a session at Clerk, and what is left of one after signing out. */
import { useEffect, useState } from "preact/hooks";
import { clerkInstance, clerkSession, goesOnWithClerk, leaveForClerk, placeBeforeClerk, type ClerkInstance } from "../clerk";
import { go } from "../route";
import { endAtClerk, session } from "../session";
import { useStore } from "../store";
import { Notice } from "../ui/parts";
import { explained, useBegin } from "./begin";

/** The instance that one may sign in with: null if there is none, or while that is being read. */
type Known = ClerkInstance | null | "unknown";

/** The Clerk instance, and signing in with it. One who comes back from Clerk goes on where they were. */
function useClerk(onFault: (fault: string | null) => void) {
  const [instance, setInstance] = useState<Known>(null);
  const [goesOn, setGoesOn] = useState(false);
  const [busy, setBusy] = useState(false);
  const accept = useBegin();
  const signIn = async (instance: ClerkInstance, mayLeave: boolean) => {
    setBusy(true);
    onFault(null);
    const before = session.get();
    try {
      const clerk = await clerkSession(instance);
      if (session.get() !== before) return;
      if (clerk !== null) return await accept({ clerk }, before);
      if (mayLeave) return await leaveForClerk(instance);
      onFault("Nobody is signed in at Clerk.");
    } catch (error) {
      onFault(explained(error, "session"));
    }
    setBusy(false);
  };
  const read = async (goesOn: boolean) => {
    setBusy(true);
    const before = session.get();
    const found = await clerkInstance().catch(() => "unknown" as const);
    setInstance(found);
    setBusy(false);
    if (goesOn && found !== null && found !== "unknown" && session.get() === before) void signIn(found, false);
  };
  useEffect(() => {
    const place = placeBeforeClerk();
    if (place !== null) go(place, { replace: true });
    const goesOn = place !== null || goesOnWithClerk();
    setGoesOn(goesOn);
    void read(goesOn);
  }, []);
  return { busy, instance, signIn, readAgain: () => void read(goesOn) };
}

/** A button, if the console is set up for Clerk; or that this could not be found out. */
export function ClerkSignIn({ onFault }: { onFault: (fault: string | null) => void }) {
  const { busy, instance, signIn, readAgain } = useClerk(onFault);
  if (instance === null) return null;
  if (instance === "unknown") {
    return (
      <Notice
        tone="warn"
        title="The console's settings can't be read"
        urgent
        action={
          <button type="button" class="button" onClick={() => busy || readAgain()} aria-disabled={busy}>
            {busy ? "Trying…" : "Try again"}
          </button>
        }
      >
        They say whether one may sign in with Clerk. A key works.
      </Notice>
    );
  }
  return (
    <button type="button" class="button" onClick={() => void signIn(instance, true)} disabled={busy}>
      {busy ? "Asking Clerk…" : "Sign in with Clerk"}
    </button>
  );
}

/** What somebody who has signed out should know of their session at Clerk. */
export function LeavingClerk() {
  const end = useStore(endAtClerk);
  if (end === null) return null;
  if (!end.failed) {
    return (
      <div role="status">
        <Notice tone="info" title="Signing out at Clerk…" />
      </div>
    );
  }
  return (
    <Notice
      tone="bad"
      title="You are still signed in at Clerk"
      urgent
      action={
        <button type="button" class="button" onClick={end.again}>
          Try again
        </button>
      }
    >
      Clerk does not answer. Whoever uses this browser can sign in as you until your session there ends.
    </Notice>
  );
}
