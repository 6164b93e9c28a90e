/** Who is signed in. */
import { noteClerk, type ClerkSession } from "./clerk";
import { storedKey, storeKey } from "./key";
import { createStore } from "./store";

/** What authorises requests: an API key, or a session at Clerk. */
export type Credentials = { readonly key: string } | { readonly clerk: ClerkSession };

export interface Session {
  /** Null while nobody is signed in. */
  readonly credentials: Credentials | null;
  /** Why the last session ended, in a sentence; null if its user ended it. */
  readonly ended: string | null;
}

/** The id of the user who is signed in, as the answers of the API name it; null before the first answer. */
export const ownId = createStore<string | null>(null);

/** The end of a session at Clerk, after its user has signed out here. */
export interface EndAtClerk {
  /** Whether it has failed; else it is under way. */
  readonly failed: boolean;
  readonly again: () => void;
}

/** Null if no session at Clerk is to be ended. */
export const endAtClerk = createStore<EndAtClerk | null>(null);

const stored = storedKey();
export const session = createStore<Session>({ credentials: stored === null ? null : { key: stored }, ended: null });

/**
 * Keeps what the API has accepted. Of a session at Clerk, only that there is one. A key changes nothing about the end
 * of an earlier session at Clerk.
 */
export function begin(credentials: Credentials): void {
  storeKey("key" in credentials ? credentials.key : null);
  noteClerk("clerk" in credentials);
  if ("clerk" in credentials) endAtClerk.set(null);
  ownId.set(null);
  session.set({ credentials, ended: null });
}

/** Forgets who is signed in; `reason` is shown where one signs in. */
export function end(reason: string | null): void {
  storeKey(null);
  noteClerk(false);
  ownId.set(null);
  session.set({ credentials: null, ended: reason });
}

/** Ends the session here at once, then the one at Clerk, as {@link endAtClerk} says. */
export function signOut(): void {
  const { credentials } = session.get();
  end(null);
  if (credentials && "clerk" in credentials) void signOutAtClerk(credentials.clerk);
}

async function signOutAtClerk(clerk: ClerkSession): Promise<void> {
  const again = () => void signOutAtClerk(clerk);
  const pending = { failed: false, again };
  endAtClerk.set(pending);
  const failed = await clerk.signOut().then(
    () => false,
    () => true,
  );
  // Meanwhile somebody may have signed in with Clerk, or tried again.
  if (endAtClerk.get() !== pending) return;
  endAtClerk.set(failed ? { failed, again } : null);
}

/** The key or token of the next request, or why the session at Clerk has ended. */
export const bearer = async (credentials: Credentials): ReturnType<ClerkSession["token"]> =>
  "key" in credentials ? { token: credentials.key } : credentials.clerk.token();

/** What is wrong with the form of a key, or null. The API decides about the rest. */
export function malformed(key: string): string | null {
  if (key === "") return "Paste an API key.";
  if (!key.startsWith("sk_")) return "An API key begins with sk_.";
  if (!/^[\x21-\x7e]+$/.test(key)) return "An API key has no blanks and no special characters.";
  if (key.length < 23) return "That key is too short. Is a part of it missing?";
  if (key.length > 200) return "That key is too long. Is something else pasted with it?";
  return null;
}
