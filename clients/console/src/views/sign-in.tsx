/** Signing in with an API key or a session at Clerk, and why one has to again. */
import { useEffect, useRef, useState } from "preact/hooks";
import { malformed, session } from "../session";
import { useStore } from "../store";
import { Notice } from "../ui/parts";
import { explained, useBegin } from "./begin";
import { ClerkSignIn, LeavingClerk } from "./sign-in-clerk";

export function SignIn() {
  const { ended } = useStore(session);
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const [seen, setSeen] = useState(false);
  const accept = useBegin();
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
      await accept({ key }, session.get());
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
            {ended} Sign in again to go on where you were.
          </Notice>
        )}
        <LeavingClerk />
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
        <ClerkSignIn onFault={setFault} />
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
