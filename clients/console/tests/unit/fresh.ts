/** What tests of the client's state share: each has modules, a clock and a session of its own. */
import { vi } from "vitest";

/** What fetches an address instead of the browser. */
type Fetch = (to: URL, options: RequestInit) => Promise<Response>;

/** Begins: modules are loaded anew from here on, and nothing is left of what a test before has noted. */
export function freshModules(fetch: Fetch, now?: Date): void {
  vi.resetModules();
  vi.useFakeTimers(now && { now });
  vi.stubGlobal("document", { baseURI: "https://console.example/" });
  vi.stubGlobal("fetch", fetch);
}

/** Begins a session with a key; returns how to end all of it. */
export async function freshSession(): Promise<() => void> {
  const session = await import("../../src/session");
  session.begin({ key: "sk_first" });
  return () => {
    session.end(null);
    vi.useRealTimers();
    vi.unstubAllGlobals();
  };
}
