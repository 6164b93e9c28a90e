/** The frame around all views: navigation, palette, connection; or the sign-in. */
import { useQueryClient } from "@tanstack/preact-query";
import { useEffect, useRef, useState } from "preact/hooks";
import { href, type View } from "./place";
import { useRoute } from "./route";
import { session, signOut } from "./session";
import { useStore } from "./store";
import { next, THEME_WORDS, theme } from "./theme";
import { ConnectionNotice, Freshness } from "./ui/connection";
import { useCovered } from "./ui/covering";
import { Icon } from "./ui/icons";
import { Page } from "./ui/page";
import { Palette, TITLES } from "./ui/palette";
import { Empty } from "./ui/parts";
import { Audit } from "./views/audit";
import { Errors } from "./views/errors";
import { Executions } from "./views/executions";
import { Health } from "./views/health";
import { Overview } from "./views/overview";
import { Queries } from "./views/queries";
import { Schedules } from "./views/schedules";
import { Brand, SignIn } from "./views/sign-in";
import { Tasks } from "./views/tasks";
import { Users } from "./views/users";
import { Workflows } from "./views/workflows";

const VIEW_OF: Readonly<Record<View, () => preact.JSX.Element>> = {
  overview: Overview,
  executions: Executions,
  errors: Errors,
  workflows: Workflows,
  tasks: Tasks,
  queries: Queries,
  schedules: Schedules,
  users: Users,
  audit: Audit,
  health: Health,
};

const GROUPS: readonly (readonly [string, readonly View[]])[] = [
  ["Now", ["overview"]],
  ["Activity", ["executions", "errors", "workflows"]],
  ["Searches", ["tasks", "queries", "schedules"]],
  ["People", ["users", "audit"]],
  ["System", ["health"]],
];

export function App() {
  const { credentials } = useStore(session);
  return credentials === null ? <SignIn /> : <Console />;
}

function Console() {
  const route = useRoute();
  const [palette, setPalette] = useState(false);
  const [menu, setMenu] = useState(false);
  const menuButton = useRef<HTMLButtonElement>(null);
  const covered = useCovered();
  useEffect(() => {
    const open = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k") {
        event.preventDefault();
        if (document.querySelector("dialog[open]") === null) setPalette(true);
      }
    };
    addEventListener("keydown", open);
    return () => removeEventListener("keydown", open);
  }, []);
  useEffect(() => {
    if (!menu) return undefined;
    const close = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || document.querySelector("dialog[open]") !== null) return;
      // The detail, which Escape closes too, stays: one thing at a time.
      event.preventDefault();
      setMenu(false);
      menuButton.current?.focus();
    };
    addEventListener("keydown", close, { capture: true });
    return () => removeEventListener("keydown", close, { capture: true });
  }, [menu]);
  useEffect(() => {
    setMenu(false);
    scrollTo(0, 0);
  }, [route.view]);
  // The link that was chosen disappears with the menu: the focus goes to what it leads to.
  const leaveMenu = () => {
    setMenu(false);
    document.getElementById("main")?.focus({ preventScroll: true });
  };
  const View = route.view === null ? Unknown : VIEW_OF[route.view];
  return (
    <div class="frame">
      <a class="skip" href="#main" onClick={skip} inert={covered}>
        Skip to the content
      </a>
      <header class="side" inert={covered}>
        <div class="side-head">
          <Brand />
          <button ref={menuButton} type="button" class="button icon-only quiet menu" aria-expanded={menu} aria-controls="navigation" onClick={() => setMenu(!menu)}>
            <Icon name="menu" />
            <span class="hidden">Menu</span>
          </button>
        </div>
        <button type="button" class="search" onClick={() => setPalette(true)}>
          <Icon name="queries" />
          <span>Go to…</span>
          <kbd>{/Mac|iPhone|iPad/.test(navigator.userAgent) ? "⌘K" : "Ctrl K"}</kbd>
        </button>
        <div id="navigation" class={menu ? "side-body open" : "side-body"}>
          <Navigation current={route.view} onChoose={() => menu && leaveMenu()} />
          <SideFoot />
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        <div class="top" inert={covered}>
          <Freshness />
        </div>
        {!covered && <ConnectionNotice />}
        <View key={route.view} />
      </main>
      {palette && <Palette onClose={() => setPalette(false)} />}
    </div>
  );
}

/** The fragment says where one is, so the link must not change it. */
function skip(event: Event) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function Navigation({ current, onChoose }: { current: View | null; onChoose: () => void }) {
  return (
    <nav aria-label="Pages of the console">
      {GROUPS.map(([group, views]) => (
        <div key={group}>
          {group !== "Now" && <p class="group">{group}</p>}
          <ul>
            {views.map((view) => (
              <li key={view}>
                <a href={href(view)} aria-current={view === current ? "page" : undefined} onClick={onChoose}>
                  <Icon name={view} />
                  {TITLES[view]}
                </a>
              </li>
            ))}
          </ul>
        </div>
      ))}
    </nav>
  );
}

function SideFoot() {
  const client = useQueryClient();
  const chosen = useStore(theme);
  const leave = () => {
    signOut();
    client.clear();
  };
  return (
    <div class="side-foot">
      <button type="button" class="button quiet" onClick={() => theme.set(next(chosen))}>
        <Icon name="sun" />
        {THEME_WORDS[chosen]}
      </button>
      <button type="button" class="button quiet" onClick={leave}>
        <Icon name="leave" />
        Sign out
      </button>
      <a class="notices" href="./admin/console/notices.txt" target="_blank" rel="noopener">
        Licences
      </a>
    </div>
  );
}

const Unknown = () => (
  <Page title="Not found" about="The console has no such page.">
    <Empty icon="stop" title="There is no such page">
      <a href={href("overview")}>Go to the overview</a>
    </Empty>
  </Page>
);
