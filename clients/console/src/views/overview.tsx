/** How the platform is doing: figures against their thresholds, charts, error types, popular queries. */
import type { UseQueryResult } from "@tanstack/preact-query";
import { apiNow } from "../api/client";
import { useDeactivated, useIsOutdated, useList, useRateBefore, useStats } from "../api/queries";
import type { ErrorsPage, ExecutionsPage, Health, Stats } from "../api/types";
import { count, percent, plural } from "../format";
import { healthChecks, type HealthCheck, isStallingKnown } from "../health";
import { errorsLink } from "../links";
import { href } from "../place";
import { READS } from "../reads";
import { ERROR_RATE, level, MEASURES, measures, rate, verdictWord, worst, type Measure } from "../thresholds";
import { Loaded, NothingYet, Page } from "../ui/page";
import { Foreign, LevelBadge, Share, Time } from "../ui/parts";
import { Charts } from "./overview-charts";

export function Overview() {
  const stats = useStats();
  const errors = useList<ErrorsPage>({ path: "admin/errors", query: { hours: 24, limit: 5 } });
  const lastHour = useList<ErrorsPage>({ path: "admin/errors", query: { hours: 1, limit: 1 } });
  const failedLastHour = useList<ExecutionsPage>({ path: "admin/executions", query: { status: "failed", hours: 1, limit: 1 } });
  // What the first sight does not need is read after it.
  const later = ![stats, errors, lastHour, failedLastHour].some((query) => query.isLoading && query.failureCount === 0);
  const health = useList<Health>(READS.health({}), { enabled: later, slow: true });
  const deactivated = useDeactivated(later);
  const before = useRateBefore(later);
  const figures = [stats, lastHour, failedLastHour];
  const isOutdated = useIsOutdated([...figures, health]);
  const areFiguresOutdated = figures.some(isOutdated);
  const isHealthOutdated = isOutdated(health);
  return (
    <Page title="Overview" about="How the platform is doing now, against the documented thresholds.">
      <Loaded query={stats} what="statistics" loading={<Waiting />}>
        {(data) => {
          const all = measures(data, failedLastHour.data?.total ?? null, lastHour.data?.total ?? null);
          const now = apiNow();
          const checks = health.data ? healthChecks({ health: health.data, deactivated, now }) : null;
          const areFiguresKnown = all.length === MEASURES && !areFiguresOutdated;
          const isStallingUnknown = checks !== null && deactivated !== null && !isStallingKnown(deactivated, now);
          return (
            <>
              <Verdict
                all={all}
                checks={checks}
                areFiguresKnown={areFiguresKnown}
                isKnown={areFiguresKnown && checks !== null && !isHealthOutdated && isStallingKnown(deactivated, now)}
                unknown={isHealthOutdated ? "this system" : isStallingUnknown ? "deactivations" : null}
              />
              <div class="cards">
                {all.map((measure) => (
                  <MeasureCard key={measure.name} measure={measure} before={measure.name === ERROR_RATE ? before : null} />
                ))}
                {Array.from({ length: MEASURES - all.length }, (_, card) => (
                  <LoadingCard key={card} />
                ))}
              </div>
              <Totals stats={data} />
              <Charts />
              <div class="columns">
                <ErrorTypes query={errors} />
                <Popular stats={data} />
              </div>
            </>
          );
        }}
      </Loaded>
    </Page>
  );
}

const Waiting = () => (
  <div class="cards" role="status">
    <span class="hidden">Loading</span>
    {Array.from({ length: MEASURES }, (_, card) => (
      <LoadingCard key={card} />
    ))}
  </div>
);

const LoadingCard = () => <div class="card figure loading-card" aria-hidden="true" />;

interface VerdictProps {
  all: readonly Measure[];
  checks: readonly HealthCheck[] | null;
  /** Whether all figures of the platform are known. */
  areFiguresKnown: boolean;
  /** Whether everything is known. */
  isKnown: boolean;
  /** Of what was looked at in the health, and not all is known; null if there is none. */
  unknown: "this system" | "deactivations" | null;
}

/** Everything in a sentence or two: the platform's figures, and how this system itself does once that is known. */
function Verdict({ all, checks, areFiguresKnown, isKnown, unknown }: VerdictProps) {
  const ofFigures = worst(all.map(level));
  const high = all.filter((measure) => level(measure) !== "calm");
  const unwell = (checks ?? []).filter((check) => check.level !== "calm");
  const most = worst([ofFigures, ...unwell.map((check) => check.level)]);
  return (
    <p class={`verdict ${most}`} role="status">
      <strong>{verdictWord(most, isKnown)}</strong>{" "}
      {high.length > 0 && `${high.map(({ name }) => name).join("; ")}: ${ofFigures === "alarm" ? "above the threshold" : "near the threshold"}. `}
      {unwell.length > 0 && (
        <>
          {unwell.map(({ name, value, words }) => `${name}: ${words ?? value}`).join("; ")}. <a href={href("health")}>What to do.</a>{" "}
        </>
      )}
      {high.length === 0 && (areFiguresKnown ? "All figures are below their thresholds. " : "The figures known so far are below their thresholds. ")}
      {isKnown && unwell.length === 0 && "Nothing waits longer than it should."}
      {unknown !== null && unwell.length === 0 && (
        <>
          Not all is known of {unknown}: <a href={href("health")}>see Health.</a>
        </>
      )}
    </p>
  );
}

const MEASURE_LINKS: Readonly<Record<string, string>> = {
  [ERROR_RATE]: href("errors"),
  "Mean duration, 24 h": href("queries"),
  "Failed executions, 1 h": href("executions", { status: "failed", hours: 1 }),
  "New errors, 1 h": href("errors", { hours: 1 }),
};

/** Keeps a number and its unit on one line. */
const together = (name: string) => name.replace(/(\d) /g, "$1\u00a0");

function MeasureCard({ measure, before }: { measure: Measure; before: number | null }) {
  const found = level(measure);
  return (
    <a class={`card figure ${found}`} href={MEASURE_LINKS[measure.name]}>
      <span class="figure-name">{together(measure.name)}</span>
      <span class="figure-row">
        <span class="figure-value">{measure.written(measure.value)}</span> <LevelBadge level={found} />
      </span>
      <span class="meter" aria-hidden="true">
        <span style={{ width: `${Math.min(100, (measure.value / measure.limit) * 100)}%` }} />
      </span>
      <span class="faint small">
        Alarm above {measure.written(measure.limit)}
        {before !== null && <span class="before">{measure.written(before)} in the 24 h before</span>}
      </span>
      {found !== "calm" && <span class="small">{measure.advice}</span>}
    </a>
  );
}

function Totals({ stats }: { stats: Stats }) {
  const { users, tasks, executions, notifications } = stats;
  const facts: [string, string, string, string][] = [
    ["Executions, 24 h", count(executions.total_24h), `${count(executions.failed_24h)} failed`, href("executions")],
    ["Users", count(users.total), `${count(users.active_30d)} active (30 d), ${count(users.new_7d)} new (7 d)`, href("users")],
    ["Tasks", count(tasks.total), `${count(tasks.active)} active, ${count(tasks.paused)} paused`, href("tasks")],
    ["Notifications, 24 h", count(notifications.sent_24h), `${count(notifications.sent_7d)} in 7 d`, ""],
  ];
  return (
    <dl class="totals">
      {facts.map(([name, value, more, link]) => (
        <div key={name}>
          <dt>{link === "" ? name : <a href={link}>{name}</a>}</dt>
          <dd>
            <span class="totals-value">{value}</span> <span class="faint small">{more}</span>
          </dd>
        </div>
      ))}
    </dl>
  );
}

function ErrorTypes({ query }: { query: UseQueryResult<ErrorsPage> }) {
  const errors = query.data;
  const types = Object.entries(errors?.error_types ?? {});
  const total = errors?.total ?? 0;
  return (
    <section class="card" aria-labelledby="error-types">
      <header class="card-head">
        <h2 id="error-types">Error types, 24 h</h2>
        {errors && <a href={errorsLink({}, 24)}>{plural(total, "error")}</a>}
      </header>
      {!errors && <NothingYet query={query} />}
      {errors && types.length === 0 && <p class="faint">Nothing failed in the last 24 hours.</p>}
      <ul class="bars">
        {types.slice(0, 10).map(([type, number]) => (
          <li key={type}>
            <a href={errorsLink({ error_type: type }, 24)}>
              <Foreign text={type} />
            </a>
            <Share of={rate(number, total)} />
            <span class="bars-count">
              {count(number)} <span class="faint">{percent(rate(number, total))}</span>
            </span>
          </li>
        ))}
      </ul>
      {total > 0 && (
        <p class="card-foot">
          <a href={href("errors", { by: "user_email" })}>Users with most failures, 24 h</a>
          <a href={href("errors", { by: "search_query" })}>Queries with most failures, 24 h</a>
        </p>
      )}
      {errors && errors.errors.length > 0 && (
        <div class="latest">
          <h3>Newest</h3>
          <ul>
            {errors.errors.map((row) => (
              <li key={row.execution_id}>
                <a href={href("errors", { open: row.execution_id })}>
                  <Time at={row.occurred_at} />
                </a>
                <Foreign text={row.error_message} />
              </li>
            ))}
          </ul>
        </div>
      )}
    </section>
  );
}

function Popular({ stats }: { stats: Stats }) {
  const most = stats.popular_queries[0]?.count ?? 0;
  return (
    <section class="card" aria-labelledby="popular">
      <header class="card-head">
        <h2 id="popular">Popular queries</h2>
        <a href={href("queries")}>All queries</a>
      </header>
      {most === 0 && <p class="faint">No task has a query.</p>}
      <ol class="bars">
        {stats.popular_queries.map(({ query, count: tasks }) => (
          <li key={query}>
            <a href={href("tasks", { search_query: query })}>
              <Foreign text={query} />
            </a>
            <Share of={rate(tasks, most)} />
            <span class="bars-count">{plural(tasks, "task")}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}
