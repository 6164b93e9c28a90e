/** How this system itself does: which projections answer, and what waits. */
import { useId } from "preact/hooks";
import { apiNow } from "../api/client";
import { useDeactivated, useIsOutdated, useList } from "../api/queries";
import type { Health as HealthAnswer } from "../api/types";
import { count } from "../format";
import { userLink } from "../links";
import { READS } from "../reads";
import { Loaded, Page } from "../ui/page";
import { BothTimes, Fact, Facts, Foreign, LevelBadge, Status } from "../ui/parts";
import { healthChecks, type HealthCheck, isStallingKnown, type NamedUser, NOT_KNOWN, stalledUsers, undecidedUsers } from "../health";
import { verdictWord, worst } from "../thresholds";

export function Health() {
  const query = useList<HealthAnswer>(READS.health({}));
  const deactivated = useDeactivated(true);
  const isOutdated = useIsOutdated([query])(query);
  const now = apiNow();
  return (
    <Page title="Health" about="How this system itself does: which projections answer requests, and what waits to be done.">
      <Loaded query={query} what="health">
        {(health) => {
          const checks = healthChecks({ health, deactivated, now });
          return (
            <>
              <Verdict checks={checks} isStallingKnown={isStallingKnown(deactivated, now)} isOutdated={isOutdated} />
              <div class="cards checks">
                {checks.map((check) => (
                  <CheckCard key={check.name} check={check} />
                ))}
              </div>
              <People title="Stalled deactivations" users={stalledUsers(deactivated, now)} />
              <People title="Deactivations of which it is not known" users={undecidedUsers(deactivated, now)} />
              <Generations health={health} />
            </>
          );
        }}
      </Loaded>
    </Page>
  );
}

interface VerdictProps {
  checks: readonly HealthCheck[];
  isStallingKnown: boolean;
  /** Whether the health can't be read any more: the checks are of what it said last. */
  isOutdated: boolean;
}

function Verdict({ checks, isStallingKnown, isOutdated }: VerdictProps) {
  const most = worst(checks.map((check) => check.level));
  const isKnown = isStallingKnown && !isOutdated;
  const names = checks.filter((check) => check.level !== "calm").map((check) => check.name);
  return (
    <p class={`verdict ${most}`} role="status">
      <strong>{verdictWord(most, isKnown)}</strong> {most !== "calm" && `${names.join("; ")}: somebody has to look. `}
      {most === "calm" && isKnown && "Nothing waits longer than it should."}
      {most === "calm" && !isStallingKnown && "Not all is known of deactivations. "}
      {isOutdated && "The health can't be read anew: this is what it said last."}
    </p>
  );
}

function CheckCard({ check }: { check: HealthCheck }) {
  return (
    <div class={`card figure ${check.level}`}>
      <span class="figure-name">{check.name}</span>
      <span class="figure-row">
        <span class="figure-value">{check.value}</span> {check.value === NOT_KNOWN ? <Status of="not known" /> : <LevelBadge level={check.level} />}
      </span>
      <span class="faint small">{check.about}</span>
      {check.level !== "calm" && <Advice steps={check.advice} />}
    </div>
  );
}

function Advice({ steps }: { steps: readonly string[] }) {
  if (steps.length === 1) return <span class="small">{steps[0]}</span>;
  return (
    <ol class="small advice-steps">
      {steps.map((step) => (
        <li key={step}>{step}</li>
      ))}
    </ol>
  );
}

/** Some users, each with a link to their detail. */
function People({ title, users }: { title: string; users: readonly NamedUser[] }) {
  const heading = useId();
  if (users.length === 0) return null;
  return (
    <section class="card" aria-labelledby={heading}>
      <header class="card-head">
        <h2 id={heading}>{title}</h2>
      </header>
      <ul class="bars">
        {users.map((user) => (
          <li key={user.id}>
            <a href={userLink(user.id, user.email)}>
              <Foreign text={user.email || user.id} email line />
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Generations({ health }: { health: HealthAnswer }) {
  const { live_generation: live, shadow_generation: shadow } = health;
  return (
    <div class="columns">
      <section class="card" aria-labelledby="live">
        <header class="card-head">
          <h2 id="live">Live projections</h2>
        </header>
        <Facts>
          <Fact name="Generation">
            <Foreign text={live.name} />
          </Fact>
          <Fact name="Lanes">{count(live.lanes)}</Fact>
        </Facts>
        <p class="faint small">They answer every request, and are written with every event.</p>
      </section>
      <section class="card" aria-labelledby="shadow">
        <header class="card-head">
          <h2 id="shadow">Shadow generation</h2>
        </header>
        {shadow === null ? (
          <p class="faint">There is none: no rebuild is under way, and nothing to roll back{"\u00a0"}to.</p>
        ) : (
          <>
            <Facts>
              <Fact name="Generation">
                <Foreign text={shadow.name} />
              </Fact>
              <Fact name="Lanes">{count(shadow.lanes)}</Fact>
              <Fact name="Written since">
                <BothTimes at={shadow.since} />
              </Fact>
              <Fact name="Complete">{shadow.complete ? "yes" : "not yet"}</Fact>
            </Facts>
            <p class="faint small">
              {shadow.complete
                ? "It holds all that the live one holds: one write makes it live (cargo replay promote or rollback)."
                : "It is being built: it can be promoted once it holds all that the live one holds."}
            </p>
          </>
        )}
      </section>
    </div>
  );
}
