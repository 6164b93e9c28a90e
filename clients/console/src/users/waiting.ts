/** Whether something has been waited for so long that what is not done gets advice. */
import { useEffect, useState } from "preact/hooks";
import { LONG_MS } from "./progress";

/** True once a component has been there for {@link LONG_MS}. */
export function useWaiting(): boolean {
  const [waiting, setWaiting] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setWaiting(true), LONG_MS);
    return () => clearTimeout(timer);
  }, []);
  return waiting;
}
