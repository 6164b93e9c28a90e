/** The frame of a view: heading, filters, list, and the detail next to it. */
import type { ComponentChildren } from "preact";
import type { UseQueryResult } from "@tanstack/preact-query";
import { useEffect, useId, useRef } from "preact/hooks";
import { ApiError, hasNoEndpoint, passes, problemOf, sentence, type Reading } from "../api/errors";
import { changed } from "../place";
import { go, useRoute } from "../route";
import { ConnectionNotice } from "./connection";
import { useCovered, useCovering } from "./covering";
import { RemoveFilters } from "./filters";
import { Icon } from "./icons";
import { Empty, Notice } from "./parts";
import { TableLoading } from "./table";

interface PageProps {
  title: string;
  /** What the view shows, in a sentence. */
  about: string;
  filters?: ComponentChildren;
  detail?: ComponentChildren;
  children: ComponentChildren;
}

export function Page({ title, about, filters, detail, children }: PageProps) {
  const covered = useCovered();
  useEffect(() => {
    document.title = `${title} · Torale admin`;
  }, [title]);
  return (
    <div class={detail ? "page with-detail" : "page"}>
      <header class="page-head" inert={covered}>
        <h1>{title}</h1>
        <p class="faint">{about}</p>
      </header>
      {filters}
      <div class="split">
        <div class="list" inert={covered}>
          {children}
        </div>
        {detail}
      </div>
    </div>
  );
}

interface LoadedProps<T> {
  query: UseQueryResult<T>;
  /** What is read, such as "tasks", for messages. */
  what: string;
  loading?: ComponentChildren;
  children: (data: T) => ComponentChildren;
}

/** What a query answered; or what it waits for, or why there is nothing. */
export function Loaded<T>({ query, what, loading, children }: LoadedProps<T>) {
  if (query.data !== undefined) return <>{children(query.data)}</>;
  const problem = problemOf(query);
  if (problem === null) return <>{loading || <TableLoading columns={6} />}</>;
  if (query.status === "error") return <Refused error={query.error} what={what} />;
  return (
    <Notice tone="info" title={sentence(problem)} urgent>
      The console keeps trying, and shows {what} as soon as there is an answer.
    </Notice>
  );
}

/** What stands where a part of a view has nothing to show yet: that it is read, or why it can't be. */
export function NothingYet({ query }: { query: Reading }) {
  const problem = problemOf(query);
  if (problem === null) return <p class="faint">Loading…</p>;
  return (
    <p class="faint" role="status">
      {sentence(problem)} {passes(problem) && "The console keeps trying."}
    </p>
  );
}

function Refused({ error, what }: { error: Error; what: string }) {
  if (hasNoEndpoint(error)) {
    return (
      <Empty icon="stop" title={`This API has no ${what} yet.`}>
        It answers 404 here. A later version of the API brings them; the console shows them then.
      </Empty>
    );
  }
  if (error instanceof ApiError && error.status === 422) {
    return (
      <Notice
        tone="warn"
        title={sentence(error)}
        urgent
        action={<RemoveFilters />}
      />
    );
  }
  return <Notice tone="bad" title={sentence(error)} urgent />;
}

interface PanelProps {
  /** What kind of thing it is. */
  kind: string;
  title: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
}

/** What gets the focus in a moment, once the page behind the detail can be used again. */
let returning: { to: Element | null; timer: ReturnType<typeof setTimeout> } | null = null;

/** What a detail was opened from: of one that takes the place of another, unless something else was chosen. */
function openerOf(focused: Element | null): Element | null {
  if (returning === null) return focused;
  const { to, timer } = returning;
  clearTimeout(timer);
  returning = null;
  return focused === null || focused === document.body || focused.closest(".panel") !== null ? to : focused;
}

function giveBack(to: Element | null): void {
  const timer = setTimeout(() => {
    returning = null;
    if (to instanceof HTMLElement && to.isConnected) to.focus();
  });
  returning = { to, timer };
}

/** The detail next to the list. It takes the focus when it opens, and Escape closes it. */
export function Panel({ kind, title, actions, children }: PanelProps) {
  const route = useRoute();
  const heading = useRef<HTMLHeadingElement>(null);
  const label = useId();
  const open = route.params["open"];
  const closed = changed(route, { open: null });
  const covered = useCovered();
  useCovering();
  useEffect(() => {
    const opener = openerOf(document.activeElement);
    heading.current?.focus({ preventScroll: false });
    return () => giveBack(opener);
  }, [open]);
  useEffect(() => {
    const close = (event: KeyboardEvent) => {
      if (event.key === "Escape" && !event.defaultPrevented && document.querySelector("dialog[open]") === null) go(closed);
    };
    addEventListener("keydown", close);
    return () => removeEventListener("keydown", close);
  }, [closed]);
  return (
    <aside class="panel" aria-labelledby={label}>
      <header class="panel-head">
        <div>
          <p class="kind">{kind}</p>
          <h2 id={label} ref={heading} tabIndex={-1}>
            {title}
          </h2>
        </div>
        <a class="button icon-only quiet" href={closed} title="Close the detail">
          <Icon name="close" />
          <span class="hidden">Close the detail</span>
        </a>
      </header>
      {covered && (
        <div class="panel-notice">
          <ConnectionNotice />
        </div>
      )}
      {actions && <div class="panel-actions">{actions}</div>}
      <div class="panel-body">{children}</div>
    </aside>
  );
}

/** A part of a detail. */
export function Section({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section class="section">
      <h3>{title}</h3>
      {children}
    </section>
  );
}
