/**
 * Where the API key is kept: in the tab's session storage, so it ends with the tab. It is in no URL, no
 * log and no other storage.
 */
const NAME = "torale.console.key";

/** Session storage can be switched off in a browser; the key is then kept by this page alone. */
export function storedKey(): string | null {
  try {
    return sessionStorage.getItem(NAME);
  } catch {
    return null;
  }
}

/** Keeps a key, or forgets it if it is null. */
export function storeKey(key: string | null): void {
  try {
    if (key === null) sessionStorage.removeItem(NAME);
    else sessionStorage.setItem(NAME, key);
  } catch {
    // The session still works until the page is left.
  }
}
