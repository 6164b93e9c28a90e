/** Which events said what is known of an entity, and when. */
import type { HistoryEvent } from "../api/types";
import { Section } from "../ui/page";
import { Foreign, Time } from "../ui/parts";
import { shortened, visible } from "../text";

export function History({ events }: { events: readonly HistoryEvent[] }) {
  return (
    <Section title="History">
      <p class="faint small">The events that decide what is shown above; the one with the greatest time wins.</p>
      {events.length === 0 && <p class="faint">No event has said anything yet.</p>}
      <ol class="history">
        {events.map((event) => (
          <li key={`${event.source} ${event.id}`}>
            <div class="history-head">
              <strong>{visible(shortened(event.type.replace(/^ai\.torale\./, ""), 80))}</strong>
              <Time at={event.time} />
            </div>
            <p>
              {event.fields.map((field) => (
                <code key={field} class="tag">
                  {visible(field)}
                </code>
              ))}
            </p>
            <details>
              <summary>Event id and source</summary>
              <dl class="facts">
                <div class="fact">
                  <dt>Id</dt>
                  <dd>
                    <Foreign text={event.id} whole />
                  </dd>
                </div>
                <div class="fact">
                  <dt>Source</dt>
                  <dd>
                    <Foreign text={event.source} whole />
                  </dd>
                </div>
              </dl>
            </details>
          </li>
        ))}
      </ol>
    </Section>
  );
}
