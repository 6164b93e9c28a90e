/** The times of the day at which cron expressions fire, as Temporal reads them (docs/contract/http.md, "next_run_time"). */

export interface DayTimes {
  /** The time zone that the expression names; undefined if it names none or an empty one: the schedule's own counts. */
  readonly zone?: string | undefined;
  /** Whether its times are counted from 1970, so that no zone matters. */
  readonly isInterval: boolean;
  /** Whether it fires within a minute of some day, given as 0 to 1439: of UTC for an interval, else in its zone. */
  at(minute: number): boolean;
}

export const MINUTES_A_DAY = 1440;
const SECONDS_A_DAY = 86_400;

/** What the shorthands say of minute and hour. */
const SHORTHANDS: Readonly<Record<string, string>> = {
  "@hourly": "0 * * * *",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@weekly": "0 0 * * 0",
  "@monthly": "0 0 1 * *",
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
};

/** The times of an expression, whichever its days are; null if it has another form. */
export function timesOf(cron: string | null): DayTimes | null {
  const [, zone, rest = ""] = /^(?:(?:CRON_)?TZ=(\S*) )?(.*)$/s.exec((cron ?? "").trim()) ?? [];
  const text = rest.replace(/#.*/s, "").trim();
  if (text.startsWith("@every ")) return intervalTimes(text.slice("@every ".length).trim());
  const fields = (SHORTHANDS[text] ?? text).split(/\s+/);
  // Of seven fields the first are seconds; of six and seven the last is the year.
  const [minutes, hours] = fields.length === 7 ? fields.slice(1) : fields;
  if (fields.length < 5 || fields.length > 7 || minutes === undefined || hours === undefined) return null;
  const [ofHour, ofDay] = [valuesOf(minutes, 59), valuesOf(hours, 23)];
  if (ofHour === null || ofDay === null) return null;
  return { zone: zone || undefined, isInterval: false, at: (minute) => ofHour.has(minute % 60) && ofDay.has(Math.floor(minute / 60)) };
}

/** A part of a list in a field: `*`, `9` or `9-17`, each with a step or without. */
const PART = /^(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/;

/** The values of a field, from 0 to `most`; null if it has another form. */
function valuesOf(field: string, most: number): ReadonlySet<number> | null {
  const values = new Set<number>();
  for (const part of field.split(",")) {
    const match = PART.exec(part);
    if (match === null) return null;
    const [, from, to, step] = match;
    const first = Number(from ?? 0);
    const last = Number(to ?? (from === undefined || step !== undefined ? most : first));
    const by = Number(step ?? 1);
    if (by === 0 || first > last || last > most) return null;
    for (let value = first; value <= last; value += by) values.add(value);
  }
  return values;
}

/** Nanoseconds of the units of a duration. */
const UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, μs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9, d: SECONDS_A_DAY * 1e9 };
const DURATION = /^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h|d))+$/;

/** A duration such as `1h30m` in whole seconds; null if it has another form. */
function secondsOf(text: string): number | null {
  if (!DURATION.test(text)) return null;
  const parts = [...text.matchAll(/([\d.]+)([^\d.]+)/g)];
  // Each part is rounded to whole nanoseconds: 4.1 h are 14,760 s, and not a bit less.
  const nanoseconds = parts.reduce((sum, [, number, unit]) => sum + Math.round(Number(number) * (UNITS[unit ?? ""] ?? 0)), 0);
  return Math.floor(nanoseconds / 1e9);
}

/** The times of `@every 1h30m/10m`: an interval, and how long after a multiple of it. */
function intervalTimes(text: string): DayTimes | null {
  const [every = "", after] = text.split("/");
  const [interval, phase] = [secondsOf(every), after ? secondsOf(after) : 0];
  if (interval === null || phase === null || interval < 1) return null;
  // From day to day, every remainder by this is reached, and no other.
  const step = greatestDivisor(interval, SECONDS_A_DAY);
  const at = (minute: number) => (((phase - minute * 60) % step) + step) % step < 60;
  return { isInterval: true, at };
}

const greatestDivisor = (a: number, b: number): number => (b === 0 ? a : greatestDivisor(b, a % b));

const formats = new Map<string, Intl.DateTimeFormat | null>();

/** The minutes by which a zone is ahead of UTC at a time; null if there is no such zone. */
export function minutesAhead(zone: string, at: Date): number | null {
  if (!formats.has(zone)) formats.set(zone, formatOf(zone));
  const name = formats.get(zone)?.formatToParts(at).find(({ type }) => type === "timeZoneName")?.value;
  const [, sign, hours, minutes] = /^GMT(?:([+-])(\d\d):(\d\d))?/.exec(name ?? "") ?? [];
  if (name === undefined) return null;
  return (sign === "-" ? -1 : 1) * (Number(hours ?? 0) * 60 + Number(minutes ?? 0));
}

function formatOf(zone: string): Intl.DateTimeFormat | null {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone, timeZoneName: "longOffset" });
  } catch {
    return null;
  }
}
