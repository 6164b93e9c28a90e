/** Who is signed in. */
import { noteClerk, type ClerkSession } from "./clerk";
import { storedKey, storeKey } from "./key";
import { createStore } from "./store";

/** What authorises requests: an API key, or a session at Clerk. */
export type Credentials = { readonly key: string } | { readonly clerk: ClerkSession };

export interface Session {
  /** Null while nobody is signed in. */
  readonly credentials: Credentials | null;
  /** Why the last session ended, if the API ended it. */
  readonly ended: string | null;
}

const stored = storedKey();
export const session = createStore<Session>({ credentials: stored === null ? null : { key: stored }, ended: null });

/** Keeps what the API has accepted. Of a session at Clerk, only that there is one. */
export function begin(credentials: Credentials): void {
  storeKey("key" in credentials ? credentials.key : null);
  noteClerk("clerk" in credentials);
  session.set({ credentials, ended: null });
}

/** Forgets who is signed in; `reason` is shown where one signs in. */
export function end(reason: string | null): void {
  storeKey(null);
  noteClerk(false);
  session.set({ credentials: null, ended: reason });
}

/** Ends the session, also the one at Clerk. One that can't be ended there ends by itself. */
export function signOut(): void {
  const { credentials } = session.get();
  if (credentials && "clerk" in credentials) credentials.clerk.signOut().catch(() => undefined);
  end(null);
}

/** The key or token of the next request; null if the session at Clerk has ended. */
export const bearer = async (credentials: Credentials): Promise<string | null> =>
  "key" in credentials ? credentials.key : credentials.clerk.token();

/** What is wrong with the form of a key, or null. The API decides about the rest. */
export function malformed(key: string): string | null {
  if (key === "") return "Paste an API key.";
  if (!key.startsWith("sk_")) return "An API key begins with sk_.";
  if (!/^[\x21-\x7e]+$/.test(key)) return "An API key has no blanks and no special characters.";
  if (key.length < 23) return "That key is too short. Is a part of it missing?";
  if (key.length > 200) return "That key is too long. Is something else pasted with it?";
  return null;
}
