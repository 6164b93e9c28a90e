/** The documented thresholds (docs/operations.md, "Alarms"; the same as `torale-admin watch`). */
import type { Stats } from "./api/types";
import { count, duration, percent } from "./format";

export type Level = "calm" | "warning" | "alarm";

export interface Measure {
  readonly name: string;
  readonly value: number;
  readonly limit: number;
  readonly written: (value: number) => string;
  /** What to look at when the value is high. */
  readonly advice: string;
}

/** Of its limit; from there on a value is a warning. */
const WARNING = 0.75;

export function level({ value, limit }: Pick<Measure, "value" | "limit">): Level {
  if (value > limit) return "alarm";
  return value > limit * WARNING ? "warning" : "calm";
}

/** The share of failures among some executions. */
export const rate = (failed: number, total: number): number => (total === 0 ? 0 : failed / total);

/** Above this share of failures it is an alarm. */
export const ERROR_RATE_LIMIT = 0.05;

/** The name of the measure that is compared with the window before. */
export const ERROR_RATE = "Error rate, 24 h";

/** So many measures there are. */
export const MEASURES = 4;

/** All measures; `failed1h` and `errors1h` are null until they are known. */
export function measures(stats: Stats, failed1h: number | null, errors1h: number | null): Measure[] {
  const { total_24h, failed_24h, avg_duration_ms } = stats.executions;
  const found: Measure[] = [
    {
      name: ERROR_RATE,
      value: rate(failed_24h, total_24h),
      limit: ERROR_RATE_LIMIT,
      written: percent,
      advice: "See which error type, query or user the failures share.",
    },
    {
      name: "Mean duration, 24 h",
      value: avg_duration_ms,
      limit: 10_000,
      written: duration,
      advice: "See which queries are slow, and how fast the AI API answers.",
    },
  ];
  const hourly = (name: string, value: number | null, limit: number, advice: string) => {
    if (value !== null) found.push({ name, value, limit, written: count, advice });
  };
  hourly("Failed executions, 1 h", failed1h, 1_000, "See the rate limits, and whether the search APIs work.");
  hourly("New errors, 1 h", errors1h, 100, "See the newest errors.");
  return found;
}

export const WORDS: Readonly<Record<Level, string>> = { calm: "Calm", warning: "Warning", alarm: "Alarm" };

/** The first word of a verdict. Calm is not said of all while something is not known. */
export const verdictWord = (most: Level, isKnown: boolean): string => `${WORDS[most]}${most === "calm" && !isKnown ? " so far" : ""}.`;

/** The most serious of some levels. */
export function worst(levels: readonly Level[]): Level {
  if (levels.includes("alarm")) return "alarm";
  return levels.includes("warning") ? "warning" : "calm";
}
