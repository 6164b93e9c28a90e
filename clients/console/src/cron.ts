/** The times at which cron expressions fire, as Temporal reads them (docs/contract/http.md, "next_run_time"). */

export interface CronTimes {
  /** The time zone that the expression names; undefined if it names none or an empty one: the schedule's own counts. */
  readonly zone?: string | undefined;
  /** Whether its times are counted from 1970, so that no zone matters. */
  readonly isInterval: boolean;
  /** Whether it fires within a minute of some day, given as 0 to 1439: of UTC for an interval, else in its zone. */
  at(minute: number): boolean;
  /** Whether it may fire on the day of a time. The UTC fields of the time are those of its zone's clock. */
  on(time: Date): boolean;
  /**
   * The second, 0 to 59, at which it first fires in the minute that begins at a time; null if it does not fire in it.
   * The UTC fields of the time are those of its zone's clock.
   */
  secondIn(time: Date): number | null;
}

export const MINUTES_A_DAY = 1440;
const SECONDS_A_DAY = 86_400;

/** What the shorthands stand for. */
const SHORTHANDS: Readonly<Record<string, string>> = {
  "@hourly": "0 * * * *",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@weekly": "0 0 * * 0",
  "@monthly": "0 0 1 * *",
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
};

/** The times of expressions that were read before. */
const known = new Map<string, CronTimes | null>();
/** So many are kept: more than there are schedules in an answer. */
const MOST_KNOWN = 20_000;

/** The times of an expression; null if Temporal has no such form. */
export function timesOf(cron: string | null): CronTimes | null {
  const text = cron ?? "";
  const before = known.get(text);
  if (before !== undefined) return before;
  if (known.size >= MOST_KNOWN) known.clear();
  const times = parsed(text);
  known.set(text, times);
  return times;
}

function parsed(cron: string): CronTimes | null {
  const [, zone, rest = ""] = /^(?:(?:CRON_)?TZ=(\S*) )?(.*)$/s.exec(cron.trim()) ?? [];
  const text = rest.replace(/#.*/s, "").trim();
  if (text.startsWith("@every ")) return intervalTimes(text.slice("@every ".length).trim());
  const fields = (SHORTHANDS[text] ?? text).split(/\s+/);
  if (fields.length < 5 || fields.length > 7) return null;
  // Of seven fields the first are seconds; of six and seven the last is the year.
  const all = [...(fields.length === 7 ? fields : ["0", ...fields]), "*"];
  const [seconds, minutes, hours, days, months, weekdays, years] = FIELDS.map((field, place) => valuesOf(all[place] ?? "", field));
  if (!seconds || !minutes || !hours || !days || !months || !weekdays || !years) return null;
  const at = (minute: number) => minutes.has(minute % 60) && hours.has(Math.floor(minute / 60));
  // Both kinds of days must match where both are given.
  const on = (time: Date) =>
    days.has(time.getUTCDate()) && months.has(time.getUTCMonth() + 1) && weekdays.has(time.getUTCDay()) && years.has(time.getUTCFullYear());
  const second = Math.min(...seconds);
  const secondIn = (time: Date) => (at(time.getUTCHours() * 60 + time.getUTCMinutes()) && on(time) ? second : null);
  return { zone: zone || undefined, isInterval: false, at, on, secondIn };
}

interface Field {
  readonly least: number;
  readonly most: number;
  /** In the order of their numbers, from `least` on. */
  readonly names?: readonly string[];
  /** Letters that a name must have at least. */
  readonly shortest?: number;
}

const MONTHS = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];
const WEEKDAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
/** 7 is a Sunday too. */
const WEEKDAY: Field = { least: 0, most: 7, names: WEEKDAYS, shortest: 2 };
/** Seconds, minutes, hours, days, months, days of the week, years. */
const FIELDS: readonly Field[] = [
  { least: 0, most: 59 },
  { least: 0, most: 59 },
  { least: 0, most: 23 },
  { least: 1, most: 31 },
  { least: 1, most: 12, names: MONTHS, shortest: 3 },
  WEEKDAY,
  { least: 2000, most: 2100 },
];

/** A part of a list in a field: `*`, `9`, `MON` or `9-17`, each with a step or without. */
const PART = /^(?:\*|(\d+|[a-z]+)(?:-(\d+|[a-z]+))?)(?:\/(\d{1,4}))?$/i;

/** The values of a field; null if it has another form. */
function valuesOf(text: string, field: Field): ReadonlySet<number> | null {
  const values = new Set<number>();
  for (const part of text.split(",")) {
    const match = PART.exec(part);
    if (match === null) return null;
    const [, from, to, step] = match;
    const first = from === undefined ? field.least : numberOf(from, field);
    const last = to !== undefined ? numberOf(to, field) : from === undefined || step !== undefined ? field.most : first;
    const by = Number(step ?? 1);
    if (by === 0 || first === null || last === null || first > last) return null;
    for (let value = first; value <= last; value += by) values.add(value);
    // A range that reaches 7 takes in 0 only if it began after 1 or has a step: `1-7` leaves Sunday out.
    if (field === WEEKDAY && values.delete(7) && (by > 1 || first > 1)) values.add(0);
  }
  return values;
}

/** A number, or a name that may be cut; null if the field has none such. */
function numberOf(text: string, { least, most, names = [], shortest = 0 }: Field): number | null {
  const place = text.length >= shortest ? names.findIndex((name) => name.startsWith(text.toLowerCase())) : -1;
  const number = place === -1 ? (/^\d+$/.test(text) ? Number(text) : Number.NaN) : least + place;
  return number >= least && number <= most ? number : null;
}

/** Nanoseconds of the units of a duration. */
const UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, μs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9, d: SECONDS_A_DAY * 1e9 };
const DURATION = /^(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h|d))+$/;

/** A duration such as `1h30m` in whole seconds; null if it has another form. */
function secondsOf(text: string): number | null {
  if (!DURATION.test(text)) return null;
  const parts = [...text.matchAll(/([\d.]+)([^\d.]+)/g)];
  // Each part is rounded to whole nanoseconds: 4.1 h are 14,760 s, and not a bit less.
  const nanoseconds = parts.reduce((sum, [, number, unit]) => sum + Math.round(Number(number) * (UNITS[unit ?? ""] ?? 0)), 0);
  return Math.floor(nanoseconds / 1e9);
}

/** The times of `@every 1h30m/10m`: an interval, and how long after a multiple of it. */
function intervalTimes(text: string): CronTimes | null {
  const [every = "", after] = text.split("/");
  const [interval, phase] = [secondsOf(every), after ? secondsOf(after) : 0];
  if (interval === null || phase === null || interval < 1) return null;
  // From day to day, every remainder by this is reached, and no other.
  const step = greatestDivisor(interval, SECONDS_A_DAY);
  const at = (minute: number) => remainder(phase - minute * 60, step) < 60;
  const secondIn = (time: Date) => {
    const second = remainder(phase - time.getTime() / 1000, interval);
    return second < 60 ? second : null;
  };
  return { isInterval: true, at, on: () => true, secondIn };
}

const remainder = (value: number, by: number): number => ((value % by) + by) % by;

const greatestDivisor = (a: number, b: number): number => (b === 0 ? a : greatestDivisor(b, a % b));

interface Clock {
  readonly format: Intl.DateTimeFormat;
  /** The minutes by which it is ahead of UTC, by times that were asked for before. */
  readonly ahead: Map<number, number>;
}

/** By zone; null if there is no such zone. */
const clocks = new Map<string, Clock | null>();
/** So many times of a zone are kept: a search asks for the same ones for each of its schedules. */
const MOST_TIMES = 50_000;

function clockOf(zone: string): Clock | null {
  const before = clocks.get(zone);
  if (before !== undefined) return before;
  const clock = newClock(zone);
  clocks.set(zone, clock);
  return clock;
}

/**
 * Whether Temporal takes a zone's name too: unlike the browser it refuses another letter case, and offsets such as
 * `+01:00`. Of an alias the browser says only the zone that it stands for, so the case is checked by its form.
 */
function isExact(zone: string, resolved: string): boolean {
  if (zone === resolved || resolved.toLowerCase() === zone.toLowerCase()) return zone === resolved && /^[A-Z]/.test(zone);
  const [area = "", ...places] = zone.split("/");
  const isPlace = (place: string) => /^[A-Z]/.test(place) && (area === "Etc" || /[a-z]/.test(place));
  return /^[A-Z]/.test(area) && places.every(isPlace);
}

function newClock(zone: string): Clock | null {
  try {
    const format = new Intl.DateTimeFormat("en", { timeZone: zone, timeZoneName: "longOffset" });
    return isExact(zone, format.resolvedOptions().timeZone) ? { format, ahead: new Map() } : null;
  } catch {
    return null;
  }
}

/** The minutes by which a zone is ahead of UTC at a time; null if there is no such zone. */
export function minutesAhead(zone: string, at: Date): number | null {
  const clock = clockOf(zone);
  if (clock === null) return null;
  const before = clock.ahead.get(at.getTime());
  if (before !== undefined) return before;
  const name = clock.format.formatToParts(at).find(({ type }) => type === "timeZoneName")?.value;
  const [, sign, hours, minutes] = /^GMT(?:([+-])(\d\d):(\d\d))?/.exec(name ?? "") ?? [];
  const ahead = (sign === "-" ? -1 : 1) * (Number(hours ?? 0) * 60 + Number(minutes ?? 0));
  if (clock.ahead.size >= MOST_TIMES) clock.ahead.clear();
  clock.ahead.set(at.getTime(), ahead);
  return ahead;
}

const WEEK_MS = 7 * SECONDS_A_DAY * 1000;
/** Every change of a clock, and its way back, comes within so many weeks. */
const WEEKS = 106;

/** All minutes by which a zone is ahead of UTC, in summer, in winter and in Ramadan; none if there is no such zone. */
export function allMinutesAhead(zone: string, from: Date): number[] {
  // From the beginning of the year on, so that the times are the same for all schedules.
  const begin = Date.UTC(from.getUTCFullYear(), 0);
  const found = Array.from({ length: WEEKS }, (_, week) => minutesAhead(zone, new Date(begin + week * WEEK_MS)));
  return [...new Set(found)].filter((ahead) => ahead !== null);
}
