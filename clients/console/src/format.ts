/** How values are written: numbers, durations, shares, times. */

const LOCALE = typeof navigator === "undefined" ? "en" : navigator.language;

/** 15,623 */
export const count = (value: number): string => value.toLocaleString(LOCALE);

/** A share of 0 to 1 as `3.2 %`. */
export function percent(share: number): string {
  return `${(share * 100).toLocaleString(LOCALE, { maximumFractionDigits: share < 0.1 ? 1 : 0 })} %`;
}

/** A duration in milliseconds as `340 ms`, `4.2 s`, `3 min 20 s` or `2 h 5 min`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 59_950) {
    const digits = ms < 9_950 ? 1 : 0;
    return `${(ms / 1000).toLocaleString(LOCALE, { minimumFractionDigits: digits, maximumFractionDigits: digits })} s`;
  }
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return pair(Math.floor(seconds / 60), "min", seconds % 60, "s");
  const minutes = Math.round(seconds / 60);
  if (minutes < 1440) return pair(Math.floor(minutes / 60), "h", minutes % 60, "min");
  return pair(Math.floor(minutes / 1440), "d", Math.floor((minutes % 1440) / 60), "h");
}

const pair = (large: number, of: string, small: number, of2: string): string =>
  small === 0 ? `${large} ${of}` : `${large} ${of} ${small} ${of2}`;

/** How long ago, or until: `5 s ago`, `3 min ago`, `in 2 h`. */
export function ago(ms: number): string {
  const length = Math.abs(ms);
  const units: [number, string][] = [
    [86_400_000, "d"],
    [3_600_000, "h"],
    [60_000, "min"],
    [1000, "s"],
  ];
  const [size, unit] = units.find(([size]) => length >= size) ?? [1000, "s"];
  const text = `${Math.floor(length / size)} ${unit}`;
  return ms >= 0 ? `${text} ago` : `in ${text}`;
}

const TIME = new Intl.DateTimeFormat(LOCALE, {
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const CLOCK = new Intl.DateTimeFormat(LOCALE, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const TIME_WITH_YEAR = new Intl.DateTimeFormat(LOCALE, {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});
const HOUR = new Intl.DateTimeFormat(LOCALE, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(LOCALE, { month: "short", day: "numeric" });
const DAY_UTC = new Intl.DateTimeFormat(LOCALE, { month: "short", day: "numeric", timeZone: "UTC" });

/** A time in the viewer's zone; the year only where it is another one. */
export function localTime(time: Date, now: Date): string {
  return (time.getFullYear() === now.getFullYear() ? TIME : TIME_WITH_YEAR).format(time);
}

/** A time of today in the viewer's zone: `09:00:04`. */
export const clockTime = (time: Date): string => CLOCK.format(time);

/** A time in UTC: `2024-01-15 09:00:04 UTC`. */
export const utcTime = (time: Date): string =>
  `${time.toISOString().replace("T", " ").replace(/(\.000)?Z$/, "")} UTC`;

/** A minute of the day, 0 to 1439, as `09:00`. */
export const hourOfDay = (minute: number): string =>
  [Math.floor(minute / 60), minute % 60].map((part) => String(part).padStart(2, "0")).join(":");

export const hourOf = (time: Date): string => HOUR.format(time);
export const dayOf = (time: Date): string => DAY.format(time);
/** The day of a bucket that is a UTC day. */
export const utcDayOf = (time: Date): string => DAY_UTC.format(time);

/** The viewer's time zone, such as `Europe/Berlin`. */
export const zone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone;

/** `1 task`, `2 tasks`. */
export const plural = (value: number, noun: string): string => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
