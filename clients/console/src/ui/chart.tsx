/**
 * Executions over time: bars that begin with their failed part, and below them the share of failures with
 * its threshold. Each bar is a link to the list behind it, so it has a name, a focus and a keyboard.
 * The arrow keys go from bar to bar, and down to its failures. A range is zoomed into with the
 * pointer, or with + and - around the bar that has the focus.
 */
import { useRef, useState } from "preact/hooks";
import type { Bar } from "../buckets";
import { count, duration, percent, plural } from "../format";
import { ERROR_RATE_LIMIT, rate } from "../thresholds";

interface Props {
  label: string;
  bars: readonly Bar[];
  /** What a bar's time is called on the axis. */
  tick: (bar: Bar) => string;
  /** What a bar's time is called in full. */
  span: (bar: Bar) => string;
  /** The list behind a bar, or behind its failures. */
  link: (bar: Bar, status: "failed" | undefined) => string;
  /** A range of bars was chosen, by first and last place. */
  onZoom?: (first: number, last: number) => void;
  onZoomOut?: (() => void) | undefined;
}

const WIDTH = 600;
const TOP = { y: 8, height: 120 };
const BOTTOM = { y: 152, height: 44 };
const HEIGHT = 216;

/** A round number at or above a value, for the end of an axis. */
export function roundUp(value: number): number {
  if (value <= 5) return 5;
  const size = 10 ** Math.floor(Math.log10(value));
  const step = [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((step) => step * size >= value) ?? 10;
  return Math.ceil(step * size);
}

export function Chart(props: Props) {
  const { label, bars, tick, span, link } = props;
  const { figure, shown, setShown, reached, reach, drag, dragging, handlers } = useBars(props);
  const most = roundUp(Math.max(0, ...bars.map((bar) => bar.count)));
  const mostRate = Math.min(1, Math.max(0.1, ...bars.map((bar) => rate(bar.failed, bar.count))));
  const step = WIDTH / Math.max(1, bars.length);
  return (
    <figure class="chart" onPointerLeave={() => setShown(null)}>
      <figcaption class="hidden">
        {label}. {plural(bars.reduce((sum, bar) => sum + bar.count, 0), "execution")},{" "}
        {count(bars.reduce((sum, bar) => sum + bar.failed, 0))} failed.
      </figcaption>
      <div class="chart-axis" aria-hidden="true">
        <span class="most">{count(most)}</span>
        <span class="zero">0</span>
        <span class="rate">{percent(mostRate)}</span>
      </div>
      <div class="chart-body">
        <svg ref={figure} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="group" aria-label={label} {...handlers}>
          <Lines mostRate={mostRate} />
          {bars.map((bar, at) => (
            <BarLink
              key={bar.start.getTime()}
              bar={bar}
              at={at}
              scale={{ step, most, mostRate }}
              name={`${span(bar)}: ${summary(bar)}`}
              link={link}
              reachable={at === Math.min(reached, bars.length - 1)}
              shown={at === shown}
              onReach={() => reach(at)}
              dragging={dragging}
            />
          ))}
          {drag && dragging && (
            <rect class="range" x={Math.min(...drag) * step} y={0} width={(Math.abs(drag[0] - drag[1]) + 1) * step} height={HEIGHT} />
          )}
        </svg>
        <span class="chart-part" aria-hidden="true">
          Share of failures
        </span>
        <Ticks bars={bars} tick={tick} />
        {shown !== null && <Tip bars={bars} shown={shown} span={span} />}
      </div>
    </figure>
  );
}

/** Which bar is shown, which one the keyboard is at, and the range that is being chosen. */
function useBars({ bars, onZoom, onZoomOut }: Props) {
  const [shown, setShown] = useState<number | null>(null);
  const [drag, setDrag] = useState<readonly [number, number] | null>(null);
  const [reached, setReached] = useState(bars.length - 1);
  const figure = useRef<SVGSVGElement>(null);
  const last = bars.length - 1;
  const dragging = drag !== null && drag[0] !== drag[1];
  const reach = (at: number) => {
    setReached(at);
    setShown(at);
  };
  const focus = (kind: "bar" | "rate", wanted: number) => {
    const at = Math.max(0, Math.min(last, wanted));
    reach(at);
    figure.current?.querySelectorAll<SVGAElement>(`a.${kind}`)[at]?.focus();
  };
  const moves: Readonly<Record<string, () => void>> = {
    ArrowLeft: () => focus("bar", reached - 1),
    ArrowRight: () => focus("bar", reached + 1),
    ArrowDown: () => focus("rate", reached),
    ArrowUp: () => focus("bar", reached),
    Home: () => focus("bar", 0),
    End: () => focus("bar", last),
    "+": () => onZoom?.(Math.max(0, reached - 2), Math.min(last, reached + 2)),
    "-": () => onZoomOut?.(),
  };
  /** The bar below the pointer. */
  const place = ({ clientX }: PointerEvent) => {
    const box = figure.current?.getBoundingClientRect();
    if (!box || box.width === 0) return 0;
    return Math.max(0, Math.min(last, Math.floor(((clientX - box.left) / box.width) * bars.length)));
  };
  const handlers = {
    onKeyDown: (event: KeyboardEvent) => {
      const move = moves[event.key];
      if (move === undefined || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      move();
    },
    onPointerDown: (event: PointerEvent) => {
      if (event.button === 0 && onZoom) setDrag([place(event), place(event)]);
    },
    onPointerMove: (event: PointerEvent) => {
      setShown(place(event));
      if (drag) setDrag([drag[0], place(event)]);
    },
    onPointerUp: () => {
      if (drag && dragging) onZoom?.(Math.min(...drag), Math.max(...drag));
      // The click that follows still has to know that it was a drag.
      setTimeout(() => setDrag(null));
    },
  };
  return { figure, shown, setShown, reached, reach, drag, dragging, handlers };
}

/** Times below some of the bars. */
function Ticks({ bars, tick }: Pick<Props, "bars" | "tick">) {
  const every = Math.ceil(bars.length / 6);
  return (
    <div class="chart-ticks" aria-hidden="true">
      {bars.map((bar, at) =>
        at % every === Math.floor(every / 2) ? (
          <span key={at} style={{ left: `${((at + 0.5) / bars.length) * 100}%` }}>
            {tick(bar)}
          </span>
        ) : null,
      )}
    </div>
  );
}

/** The figures of one bar. */
function Tip({ bars, shown, span }: Pick<Props, "bars" | "span"> & { shown: number }) {
  const bar = bars[shown];
  if (bar === undefined) return null;
  const side = shown > bars.length / 2 ? "left" : "right";
  return (
    <div class={`chart-tip ${side}`} style={{ left: `${((shown + 0.5) / bars.length) * 100}%` }} aria-hidden="true">
      <strong>{span(bar)}</strong>
      <span>{plural(bar.count, "execution")}</span>
      <span>
        {count(bar.failed)} failed ({percent(rate(bar.failed, bar.count))})
      </span>
      <span>{average(bar)}</span>
    </div>
  );
}

const summary = (bar: Bar) =>
  `${plural(bar.count, "execution")}, ${count(bar.failed)} failed, ${percent(rate(bar.failed, bar.count))}; ${average(bar)}`;

const average = ({ avgDurationMs }: Bar) => (avgDurationMs === null ? "average not known" : `${duration(avgDurationMs)} on average`);

function Lines({ mostRate }: { mostRate: number }) {
  const limit = BOTTOM.y + BOTTOM.height * (1 - ERROR_RATE_LIMIT / mostRate);
  return (
    <>
      {[0, 0.5, 1].map((part) => (
        <line key={part} class="grid" x1={0} x2={WIDTH} y1={TOP.y + TOP.height * part} y2={TOP.y + TOP.height * part} />
      ))}
      <line class="grid" x1={0} x2={WIDTH} y1={BOTTOM.y + BOTTOM.height} y2={BOTTOM.y + BOTTOM.height} />
      <line class="limit" x1={0} x2={WIDTH} y1={limit} y2={limit} />
    </>
  );
}

interface BarProps {
  bar: Bar;
  at: number;
  /** The width of a bar with its gap, and what the axes end at. */
  scale: { step: number; most: number; mostRate: number };
  name: string;
  link: Props["link"];
  reachable: boolean;
  shown: boolean;
  onReach: () => void;
  dragging: boolean;
}

function BarLink({ bar, at, scale: { step, most, mostRate }, name, link, reachable, shown, onReach, dragging }: BarProps) {
  const x = at * step + step * 0.12;
  const width = step * 0.76;
  const total = (bar.count / most) * TOP.height;
  const failed = (bar.failed / most) * TOP.height;
  const share = rate(bar.failed, bar.count);
  const low = (share / mostRate) * BOTTOM.height;
  const base = TOP.y + TOP.height;
  // A drag is no click.
  const onClick = (event: MouseEvent) => dragging && event.preventDefault();
  return (
    <>
      <a class={shown ? "bar shown" : "bar"} href={link(bar, undefined)} aria-label={name} tabIndex={reachable ? 0 : -1} onFocus={onReach} onClick={onClick} draggable={false}>
        <rect class="hit" x={at * step} y={0} width={step} height={BOTTOM.y - 12} />
        <rect class="ok" x={x} y={base - total} width={width} height={Math.max(0, total - failed)} />
        <rect class="bad" x={x} y={base - failed} width={width} height={failed} />
      </a>
      <a class={shown ? "rate shown" : "rate"} href={link(bar, "failed")} aria-label={`Failures, ${name}`} tabIndex={-1} onClick={onClick} draggable={false}>
        <rect class="hit" x={at * step} y={BOTTOM.y - 12} width={step} height={BOTTOM.height + 12} />
        <rect class={share > ERROR_RATE_LIMIT ? "bad" : "mild"} x={x} y={BOTTOM.y + BOTTOM.height - low} width={width} height={low} />
      </a>
    </>
  );
}
