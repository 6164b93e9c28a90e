/** Small parts that all views share. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ScheduleRow } from "../api/types";
import { localTime, utcTime } from "../format";
import { zoneOf } from "../schedules";
import { WORDS, type Level } from "../thresholds";
import { shortened, visible, visibleEmail } from "../text";
import { Icon, type IconName } from "./icons";

/** What stands where there is no value. */
export const None = () => <span class="faint">–</span>;

interface ForeignProps {
  text: string | null;
  /** All of it, with its line breaks, for a detail. */
  whole?: boolean;
  /** One line: for emails and names, which read badly when they are broken. */
  line?: boolean;
  /** An email, or an id in its place: no character of it is to be overlooked. */
  email?: boolean;
}

/** A text of an event. In a cell it is cut to two lines, or to one. */
export function Foreign({ text, whole = false, line = false, email = false }: ForeignProps) {
  if (text === null || text === "") return <None />;
  const written = email ? visibleEmail : visible;
  if (whole) return <bdi class="whole">{written(text)}</bdi>;
  return <bdi class={line ? "line" : "clamped"}>{written(shortened(text, 240))}</bdi>;
}

/** Somebody or something by name; by the beginning of the id if the name is not known; null while it is being read. */
export function Named({ id, name, email = false }: { id: string; name: string | null | undefined; email?: boolean }) {
  if (name) return <Foreign text={name} line email={email} />;
  if (name === undefined) return <code class="line faint">{shortened(id, 8)}</code>;
  return (
    <span class="line name-wait">
      <span class="hidden">{shortened(id, 8)}</span>
    </span>
  );
}

/** A time in the viewer's zone, with UTC on hover. */
export function Time({ at }: { at: string | null | undefined }) {
  const time = at ? new Date(at) : null;
  if (time === null || Number.isNaN(time.getTime())) return <None />;
  return (
    <time dateTime={time.toISOString()} title={utcTime(time)} class="time">
      {localTime(time, new Date())}
    </time>
  );
}

/** A time in both zones, for a detail. */
export function BothTimes({ at }: { at: string | null | undefined }) {
  if (!at || Number.isNaN(Date.parse(at))) return <None />;
  return (
    <span>
      <Time at={at} /> <span class="utc">{utcTime(new Date(at))}</span>
    </span>
  );
}

const TONES: Readonly<Record<string, string>> = {
  success: "good",
  active: "good",
  completed: "good",
  deactivated: "bad",
  failed: "bad",
  terminated: "bad",
  timed_out: "bad",
  already: "quiet",
  refused: "bad",
  not_found: "bad",
  running: "busy",
  paused: "quiet",
  canceled: "quiet",
};

/** A status in words, with a colour besides. */
export function Status({ of }: { of: string }) {
  const name = of.toLowerCase();
  return <span class={`status ${TONES[name] ?? "quiet"}`}>{visible(shortened(name.replaceAll("_", " "), 40))}</span>;
}

/** Whether an execution found what its task looks for. */
export function Condition({ met }: { met: boolean | null }) {
  if (met === null) return <None />;
  return <span class={met ? "" : "faint"}>{met ? "met" : "not met"}</span>;
}

/** A level against a threshold. */
export const LevelBadge = ({ level }: { level: Level }) => (
  <span class={`status ${{ calm: "good", warning: "warn", alarm: "bad" }[level]}`}>{WORDS[level]}</span>
);

/** Copies a text and says so. */
export function Copy({ text, what }: { text: string; what: string }) {
  const [state, setState] = useState<"" | "Copied" | "Copying failed">("");
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    const done = await navigator.clipboard.writeText(text).then(
      () => true,
      () => false,
    );
    setState(done ? "Copied" : "Copying failed");
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setState(""), 2000);
  };
  return (
    <button type="button" class="button icon-only quiet" onClick={copy} title={state || `Copy ${what}`}>
      <Icon name={state === "Copied" ? "check" : "copy"} />
      <span class="hidden" role="status">
        {state}
      </span>
      <span class="hidden">Copy {what}</span>
    </button>
  );
}

/** An id, with a button that copies it. */
export function Id({ id, what }: { id: string; what: string }) {
  return (
    <span class="id">
      <code>
        <bdi>{visible(shortened(id, 120))}</bdi>
      </code>
      <Copy text={id} what={what} />
    </span>
  );
}

/** A link to another site, in a tab of its own. Only `https` and `http` become links. */
export function External({ to, children }: { to: string; children: ComponentChildren }) {
  if (!/^https?:\/\//i.test(to)) return <span>{children}</span>;
  return (
    <a class="external" href={to} target="_blank" rel="noopener noreferrer">
      {children}
      <Icon name="external" />
      <span class="hidden"> (opens in a new tab)</span>
    </a>
  );
}

interface NoticeProps {
  tone: "info" | "warn" | "bad" | "good";
  title: string;
  children?: ComponentChildren;
  action?: ComponentChildren;
  /** Whether a screen reader says it as soon as it appears. */
  urgent?: boolean;
}

export function Notice({ tone, title, children, action, urgent = false }: NoticeProps) {
  return (
    <div class={`notice ${tone}`} {...(urgent && { role: "alert" })}>
      <div>
        <strong>{title}</strong>
        {children !== undefined && <div class="notice-text">{children}</div>}
      </div>
      {action}
    </div>
  );
}

interface EmptyProps {
  icon: IconName;
  title: string;
  action?: ComponentChildren;
  children?: ComponentChildren;
}

/** What stands where a list is empty. */
export function Empty({ icon, title, action, children }: EmptyProps) {
  return (
    <div class="empty">
      <Icon name={icon} />
      <p class="empty-title">{title}</p>
      {children !== undefined && <p class="faint">{children}</p>}
      {action}
    </div>
  );
}

/** Pairs of name and value. */
export const Facts = ({ children }: { children: ComponentChildren }) => <dl class="facts">{children}</dl>;

export function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** The zone by whose clock a schedule fires. */
export function Zone({ of }: { of: ScheduleRow }) {
  const zone = zoneOf(of);
  return zone === null ? <span class="faint">none: an interval</span> : <Foreign text={zone} line />;
}

/** An entry of the legend of a chart. */
export const Key = ({ of, children }: { of: "ok" | "bad" | "rest" | "limit"; children: ComponentChildren }) => (
  <span class="entry-of">
    <span class={`key ${of}`} aria-hidden="true" />
    <span>{children}</span>
  </span>
);

/** A part of the sum, as a bar behind nothing: the figure stands next to it. */
export function Share({ of }: { of: number }) {
  return (
    <span class="share" aria-hidden="true">
      <span style={{ width: `${Math.max(1, Math.min(100, of * 100))}%` }} />
    </span>
  );
}
