/** Whether a detail covers the whole page, as it does on a phone (`frame.css`): nothing behind it can be used then. */
import { useEffect } from "preact/hooks";
import { createStore, useStore } from "../store";

/** The width up to which it does. */
const NARROW = "(max-width: 760px)";

const narrow = createStore(false);
if (typeof matchMedia !== "undefined") {
  const query = matchMedia(NARROW);
  narrow.set(query.matches);
  query.addEventListener("change", () => narrow.set(query.matches));
}

/** Details on the screen: one, or two for a moment while one takes the place of the other. */
const details = createStore(0);

/** For the detail: it is there. */
export function useCovering(): void {
  useEffect(() => {
    details.set(details.get() + 1);
    return () => details.set(details.get() - 1);
  }, []);
}

/** Whether a detail covers all else. */
export function useCovered(): boolean {
  const isNarrow = useStore(narrow);
  return useStore(details) > 0 && isNarrow;
}
