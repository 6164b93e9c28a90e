/** Executions by hour and by day, each with a zoom into finer bars. */
import { useState } from "preact/hooks";
import { apiNow } from "../api/client";
import { hasNoEndpoint, problemOf, sentence } from "../api/errors";
import { useMinutes, useSeries } from "../api/queries";
import type { Bucket, Series } from "../api/types";
import { bars, listBehind, merged, type Bar } from "../buckets";
import { dayOf, hourOf, percent, utcDayOf, zone } from "../format";
import { ERROR_RATE_LIMIT } from "../thresholds";
import { Chart } from "../ui/chart";
import { Key } from "../ui/parts";

interface Frame {
  title: string;
  bucket: Bucket;
  hours: number;
  /** The bucket of the zoom. */
  finer: Bucket;
  /** Minutes of a bar of the zoom. */
  fine: number;
}

const DAY: Frame = { title: "Executions by hour, last 24 hours", bucket: "hour", hours: 24, finer: "minute", fine: 5 };
const MONTH: Frame = { title: "Executions by day, last 30 days", bucket: "day", hours: 720, finer: "hour", fine: 60 };

export function Charts() {
  const day = useSeries("executions", DAY.bucket, DAY.hours);
  if (hasNoEndpoint(day.error)) {
    return <p class="faint small charts-missing">This API has no figures over time yet, so there are no charts.</p>;
  }
  return (
    <div class="columns">
      <ChartCard frame={DAY} />
      <ChartCard frame={MONTH} />
    </div>
  );
}

interface Range {
  start: Date;
  end: Date;
}

function ChartCard({ frame }: { frame: Frame }) {
  const [range, setRange] = useState<Range | null>(null);
  const whole = useSeries("executions", frame.bucket, frame.hours);
  const byMinute = frame.finer === "minute";
  const minutes = useMinutes(frame.hours, range !== null && byMinute);
  const finer = useSeries("executions", frame.finer, frame.hours, range !== null && !byMinute);
  const fine = byMinute ? minutes.data?.series : finer.data;
  const fineProblem = range && problemOf(byMinute ? minutes : finer);
  const zoomed = range !== null && fine !== undefined;
  const all = zoomed ? merged(barsOf(fine), frame.fine, minutes.data?.running ?? null) : barsOf(whole.data);
  const shown = range && zoomed ? all.filter((bar) => bar.end > range.start && bar.start < range.end) : all;
  const problem = problemOf(whole) ?? fineProblem;
  const bucket = zoomed ? (byMinute ? "minutes" : "hour") : frame.bucket;
  return (
    <section class="card chart-card" aria-labelledby={frame.title}>
      <header class="card-head">
        <h2 id={frame.title}>{frame.title}</h2>
        {range && (
          <button type="button" class="button small" onClick={() => setRange(null)}>
            Zoom out
          </button>
        )}
      </header>
      {problem && <p class="faint">{sentence(problem)}</p>}
      {whole.data && (
        <Chart
          label={frame.title}
          bars={shown}
          tick={(bar) => TICKS[bucket](bar)}
          span={(bar) => SPANS[bucket](bar)}
          link={(bar, status) => listBehind(all, bar, status, new Date(apiNow()))}
          {...(!range && { onZoom: (first: number, last: number) => setRange(between(shown, first, last)) })}
          onZoomOut={() => setRange(null)}
        />
      )}
      {!whole.data && !problem && <div class="chart-wait" role="status"><span class="hidden">Loading</span></div>}
      <p class="faint small legend">
        <Key of="ok">Success or running</Key>
        <Key of="bad">Failed</Key>
        <Key of="rest">Share of failures up to {percent(ERROR_RATE_LIMIT)}</Key>
        <Key of="limit">Above that, an alarm</Key>
        <span class="zone">{bucket === "day" ? "Days in UTC." : `Times in ${zone()}.`} {!range && "Drag, or press + on a bar, to zoom."}</span>
      </p>
    </section>
  );
}

const barsOf = (series: Series | undefined): Bar[] => (series ? bars(series.points, series.bucket) : []);

function between(shown: readonly Bar[], first: number, last: number): Range | null {
  const [start, end] = [shown[first]?.start, shown[last]?.end];
  return start && end ? { start, end } : null;
}

type Scale = "minutes" | Bucket;

const TICKS: Readonly<Record<Scale, (bar: Bar) => string>> = {
  minute: (bar) => hourOf(bar.start),
  minutes: (bar) => hourOf(bar.start),
  hour: (bar) => hourOf(bar.start),
  day: (bar) => utcDayOf(bar.start),
};

const SPANS: Readonly<Record<Scale, (bar: Bar) => string>> = {
  minute: (bar) => `${hourOf(bar.start)} to ${hourOf(bar.end)}`,
  minutes: (bar) => `${hourOf(bar.start)} to ${hourOf(bar.end)}`,
  hour: (bar) => `${dayOf(bar.start)}, ${hourOf(bar.start)} to ${hourOf(bar.end)}`,
  day: (bar) => `${utcDayOf(bar.start)} (UTC)`,
};
