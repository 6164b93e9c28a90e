/**
 * Who is signed in. The API key lives in the tab's session storage, so it ends with the tab; it is
 * in no URL, no log and no other storage.
 */
import { createStore } from "./store";

const NAME = "torale.console.key";

export interface Session {
  /** The API key, or null while nobody is signed in. */
  readonly key: string | null;
  /** Why the last session ended, if the API ended it. */
  readonly ended: string | null;
}

/** Session storage can be switched off in a browser; the key is then kept by this page alone. */
function stored(): string | null {
  try {
    return sessionStorage.getItem(NAME);
  } catch {
    return null;
  }
}

function store(key: string | null): void {
  try {
    if (key === null) sessionStorage.removeItem(NAME);
    else sessionStorage.setItem(NAME, key);
  } catch {
    // The session still works until the page is left.
  }
}

export const session = createStore<Session>({ key: stored(), ended: null });

/** Keeps a key that the API has accepted. */
export function begin(key: string): void {
  store(key);
  session.set({ key, ended: null });
}

/** Forgets the key; `reason` is shown where one signs in. */
export function end(reason: string | null): void {
  store(null);
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
