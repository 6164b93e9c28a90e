/** The place that the address bar shows, for components to follow and to change. */
import { parse, type Route } from "./place";
import { createStore, useStore } from "./store";

const here = createStore<Route>(parse(typeof location === "undefined" ? "" : location.hash));

/** Follows the address bar, from now on. */
export function follow(): void {
  here.set(parse(location.hash));
  addEventListener("hashchange", () => here.set(parse(location.hash)));
}

/** Where one is now: a change of the address reaches {@link useRoute} a moment later. */
export const routeNow = (): Route => parse(location.hash);

export const useRoute = (): Route => useStore(here);

/** Goes to a link of {@link href}. With `replace`, the back button skips where one was. */
export function go(link: string, { replace = false } = {}): void {
  if (!replace) {
    location.hash = link;
    return;
  }
  history.replaceState(null, "", link);
  here.set(parse(link));
}
