/** Filters of a list; each is a parameter of the URL. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { changed, href } from "../place";
import { go, routeNow, useRoute } from "../route";
import { isUuid } from "../text";
import { useCovered } from "./covering";
import { Icon } from "./icons";

export const Filters = ({ children }: { children: ComponentChildren }) => (
  <div class="filters" role="group" aria-label="Filters" inert={useCovered()}>
    {children}
  </div>
);

/** What a filter leaves begins at its first page, without a detail. */
const FROM_THE_START = { page: null, open: null };

/** Sets a parameter, and lets go of the bar of a chart: its rows are on another page then. */
function useFilter(name: string): [string, (value: string, options?: { replace: boolean }) => void] {
  const route = useRoute();
  // As it is when the value is set: since this was drawn, another filter may have been set.
  const set = (value: string, options?: { replace: boolean }) =>
    go(changed(routeNow(), { [name]: value || null, ...FROM_THE_START, from: null, to: null }), options);
  return [route.params[name] ?? "", set];
}

interface ChoiceProps {
  name: string;
  label: string;
  /** Values and their words; the first is the default and is not in the URL. */
  options: readonly (readonly [string, string])[];
}

export function Choice({ name, label, options }: ChoiceProps) {
  const [value, set] = useFilter(name);
  const known = options.some(([option]) => option === value) || value === "";
  return (
    <label class="field">
      <span>{label}</span>
      <select value={value} onChange={(event) => set(event.currentTarget.value)}>
        {options.map(([option, words]) => (
          <option key={option} value={option}>
            {words}
          </option>
        ))}
        {!known && <option value={value}>{value}</option>}
      </select>
    </label>
  );
}

interface EntryProps {
  name: string;
  label: string;
  placeholder?: string;
  /** What is wrong with a value, or null. */
  check?: (value: string) => string | null;
  wide?: boolean;
}

/** A filter that one types: it is applied after a pause, or with Enter. */
export function Entry({ name, label, placeholder, check, wide = false }: EntryProps) {
  const [value, set] = useFilter(name);
  const [typed, setTyped] = useState(value);
  const applied = useRef(value);
  useEffect(() => {
    // What comes from elsewhere: a link, or the back button.
    if (value !== applied.current) setTyped(value);
    applied.current = value;
  }, [value]);
  const apply = () => {
    applied.current = typed.trim();
    set(applied.current, { replace: true });
  };
  const wrong = typed === "" ? null : (check?.(typed) ?? null);
  useEffect(() => {
    // A link may bring blanks along: they are no change.
    if (typed.trim() === value.trim() || wrong !== null) return undefined;
    const timer = setTimeout(apply, 350);
    return () => clearTimeout(timer);
  }, [typed, value, wrong]);
  return (
    <label class={wide ? "field grow" : "field"}>
      <span>{label}</span>
      <span class="entry">
        <input
          type="search"
          value={typed}
          placeholder={placeholder}
          autocomplete="off"
          spellcheck={false}
          aria-invalid={wrong !== null}
          onInput={(event) => setTyped(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && wrong === null) apply();
          }}
        />
      </span>
      {wrong !== null && <span class="field-fault">{wrong}</span>}
    </label>
  );
}

/** Leads to the whole list. */
export function RemoveFilters() {
  const { view } = useRoute();
  return (
    <a class="button" href={href(view ?? "overview")}>
      Remove all filters
    </a>
  );
}

/** What is wrong with an id to filter by, or null. */
export const idFault = (value: string): string | null => (isUuid(value) ? null : "A whole id, please (a UUID).");

/** A filter that was set by a link, which can only be taken away. All others stay, the bar of a chart too. */
export function Chip({ name, children }: { name: string; children: ComponentChildren }) {
  const route = useRoute();
  if (!route.params[name]) return null;
  return (
    <span class="chip">
      <span class="chip-text">{children}</span>
      <button
        type="button"
        class="button icon-only quiet"
        onClick={() => go(changed(routeNow(), { [name]: null, ...FROM_THE_START }))}
        title="Remove this filter"
      >
        <Icon name="close" />
        <span class="hidden">Remove this filter</span>
      </button>
    </span>
  );
}

/** The windows of lists in hours. */
export const HOURS: readonly (readonly [string, string])[] = [
  ["", "Last 24 hours"],
  ["1", "Last hour"],
  ["6", "Last 6 hours"],
  ["72", "Last 3 days"],
  ["168", "Last 7 days"],
  ["720", "Last 30 days"],
  ["2160", "Last 90 days"],
  ["8760", "Last 365 days"],
];

/** What a number of hours is called. */
export function hoursInWords(hours: number): string {
  const known = HOURS.find(([value]) => value === (hours === 24 ? "" : String(hours)));
  return (known?.[1] ?? `Last ${hours} hours`).toLowerCase();
}

/** The window, with one that a chart's link brought along. */
export function HoursChoice() {
  const { params } = useRoute();
  const asked = params["hours"] ?? "";
  const options = HOURS.some(([value]) => value === asked)
    ? HOURS
    : [...HOURS, [asked, `Last ${asked} hours`] as const];
  return <Choice name="hours" label="Window" options={options} />;
}
