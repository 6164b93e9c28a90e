/**
 * Signing in with a Clerk session, where the console's function names an instance. Clerk's script comes from
 * the instance's own host, and only once one signs in so. It draws nothing here: one signs in at Clerk's own
 * page, which leads back.
 */
import { Unreachable } from "./api/errors";

/** The instance that one may sign in with. */
export interface ClerkInstance {
  readonly publishable_key: string;
  /** The address of Clerk's script. */
  readonly script: string;
}

/** What of Clerk's script is used. It replaces the session when somebody signs in or out, in this tab or another. */
interface Clerk {
  load(options: { telemetry: boolean }): Promise<void>;
  readonly session: { getToken(): Promise<string | null>; readonly user?: { readonly id: string } | null } | null | undefined;
  redirectToSignIn(options: { redirectUrl: string }): Promise<unknown>;
  signOut(options: { redirectUrl: string }): Promise<unknown>;
}

declare global {
  interface Window {
    Clerk?: Clerk;
    trustedTypes?: { createPolicy(name: string, rules: { createScriptURL(url: string): string | null }): unknown };
  }
}

/** A session at Clerk. Its functions throw {@link Unreachable}. */
export interface ClerkSession {
  /** The token of the next request, which Clerk's script renews every minute; or why this session has ended. */
  token(): Promise<{ readonly token: string } | { readonly ended: string }>;
  /** Ends it. Does nothing if it has ended, or if another user is signed in at Clerk by now. */
  signOut(): Promise<void>;
}

/** For the settings, the script, its start and each token. */
const TIME_LIMIT_MS = 15_000;

/** Rejects if there is no result in time. */
function inTime<T>(result: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Unreachable("Clerk does not answer")), TIME_LIMIT_MS);
  });
  return Promise.race([result, late]).finally(() => clearTimeout(timer));
}

/** The instance that one may sign in with; null if there is none. Throws {@link Unreachable}. */
export async function clerkInstance(): Promise<ClerkInstance | null> {
  try {
    const response = await fetch(new URL("admin/console/settings.json", document.baseURI), { signal: AbortSignal.timeout(TIME_LIMIT_MS) });
    if (!response.ok) throw new Error(`status ${response.status}`);
    return ((await response.json()) as { clerk?: ClerkInstance | null }).clerk ?? null;
  } catch (cause) {
    throw new Unreachable("The console's settings can't be read", { cause });
  }
}

/**
 * Lets scripts be loaded from one folder, and nothing else: the page has no other policy of Trusted Types, so
 * markup stays refused. Clerk's script loads parts of itself.
 */
function allowScriptsIn(folder: string): void {
  window.trustedTypes?.createPolicy("default", { createScriptURL: (url) => (new URL(url, document.baseURI).href.startsWith(folder) ? url : null) });
}

let loading: Promise<Clerk> | null = null;

/** Clerk's script, started. A failure is forgotten, so that one can try again. */
function clerk(instance: ClerkInstance): Promise<Clerk> {
  loading ??= inTime(start(instance)).catch((cause: unknown) => {
    loading = null;
    throw cause instanceof Unreachable ? cause : new Unreachable("Clerk's script does not start", { cause });
  });
  return loading;
}

let isAllowed = false;

async function start({ publishable_key, script }: ClerkInstance): Promise<Clerk> {
  // A policy can be made once. Parts of the script are next to it, below the name of its exact version.
  if (!isAllowed) allowScriptsIn(new URL("../../", script).href);
  isAllowed = true;
  const element = document.createElement("script");
  element.async = true;
  element.crossOrigin = "anonymous";
  element.dataset["clerkPublishableKey"] = publishable_key;
  await new Promise<void>((loaded, failed) => {
    element.onload = () => loaded();
    element.onerror = () => failed(new Unreachable("Clerk's script can't be loaded"));
    element.src = script;
    document.head.append(element);
  }).catch((cause: unknown) => {
    element.remove();
    throw cause;
  });
  if (window.Clerk === undefined) throw new Error("Clerk's script has another form");
  await window.Clerk.load({ telemetry: false });
  return window.Clerk;
}

/** Whatever Clerk's script rejects with: it does not answer for now. */
function away(cause: unknown): never {
  throw cause instanceof Unreachable ? cause : new Unreachable("Clerk does not answer", { cause });
}

const thisPage = () => location.origin + location.pathname;

/** The session of whoever is signed in at Clerk; null if nobody is. Throws {@link Unreachable}. */
export async function clerkSession(instance: ClerkInstance): Promise<ClerkSession | null> {
  const found = await clerk(instance);
  const user = found.session?.user?.id;
  if (user === undefined) return null;
  return {
    token: () => inTime(tokenOf(found, user)).catch(away),
    signOut: () => signOutOf(found, user),
  };
}

/** Ends this user's session, and nobody else's: somebody else may be signed in at Clerk by now. */
async function signOutOf(clerk: Clerk, user: string): Promise<void> {
  if (clerk.session?.user?.id !== user) return;
  // Else Clerk's script leaves for the host's first page, which is not the console.
  await inTime(clerk.signOut({ redirectUrl: thisPage() })).catch(away);
}

const ENDED = { ended: "Your session at Clerk has ended." };
const ANOTHER = { ended: "Another user has signed in at Clerk in this browser." };

/**
 * A token of this user. Somebody else may sign in at Clerk in another tab, before it is asked for or meanwhile: the
 * script goes on with their session.
 */
async function tokenOf(clerk: Clerk, user: string): ReturnType<ClerkSession["token"]> {
  const { session } = clerk;
  if (!session?.user) return ENDED;
  if (session.user.id !== user) return ANOTHER;
  const token = await session.getToken();
  const after = clerk.session?.user?.id;
  if (token === null || after === undefined) return ENDED;
  return after === user ? { token } : ANOTHER;
}

const BACK = "torale.console.clerk";

/**
 * Leaves for Clerk's sign-in, which leads back to this page. The fragment stays here: what one searches for is
 * sent to nobody.
 */
export async function leaveForClerk(instance: ClerkInstance): Promise<void> {
  const found = await clerk(instance);
  sessionStorage.setItem(BACK, location.hash || "#/");
  await found.redirectToSignIn({ redirectUrl: thisPage() });
}

/** Where one was before one left for Clerk; null if one did not. It is told once. */
export function placeBeforeClerk(): string | null {
  try {
    const place = sessionStorage.getItem(BACK);
    sessionStorage.removeItem(BACK);
    return place;
  } catch {
    return null;
  }
}

const KEPT = "torale.console.session";

/** Whether this tab goes on with the session at Clerk after it is loaded again. */
export const goesOnWithClerk = (): boolean => {
  try {
    return sessionStorage.getItem(KEPT) === "clerk";
  } catch {
    return false;
  }
};

/** Notes whether this tab is signed in with Clerk. No token is stored here; Clerk's script keeps its own in a cookie. */
export function noteClerk(isSignedIn: boolean): void {
  try {
    if (isSignedIn) sessionStorage.setItem(KEPT, "clerk");
    else sessionStorage.removeItem(KEPT);
  } catch {
    // Then one signs in again after loading the page again.
  }
}
