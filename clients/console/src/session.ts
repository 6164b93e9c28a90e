/** Who is signed in. */
import { storedKey, storeKey } from "./key";
import { createStore } from "./store";

export interface Session {
  /** The API key, or null while nobody is signed in. */
  readonly key: string | null;
  /** Why the last session ended, if the API ended it. */
  readonly ended: string | null;
}

export const session = createStore<Session>({ key: storedKey(), ended: null });

/** Keeps a key that the API has accepted. */
export function begin(key: string): void {
  storeKey(key);
  session.set({ key, ended: null });
}

/** Forgets the key; `reason` is shown where one signs in. */
export function end(reason: string | null): void {
  storeKey(null);
  session.set({ key: null, ended: reason });
}

/** What is wrong with the form of a key, or null. The API decides about the rest. */
export function malformed(key: string): string | null {
  if (key === "") return "Paste an API key.";
  if (!key.startsWith("sk_")) return "An API key begins with sk_.";
  if (!/^[\x21-\x7e]+$/.test(key)) return "An API key has no blanks and no special characters.";
  if (key.length < 23) return "That key is too short. Is a part of it missing?";
  if (key.length > 200) return "That key is too long. Is something else pasted with it?";
  return null;
}
