/**
 * Where in the console one is. It is in the URL's fragment, `#/executions?status=failed&page=2`:
 * the page is served at one path, and what one searches for is never sent to a server.
 */
export const VIEWS = [
  "overview",
  "executions",
  "errors",
  "workflows",
  "tasks",
  "queries",
  "schedules",
  "users",
  "audit",
  "health",
] as const;
export type View = (typeof VIEWS)[number];

/** Parameters by name. One that is absent has its default. */
export type Params = Readonly<Record<string, string>>;

export interface Route {
  readonly view: View | null;
  readonly params: Params;
}

/** Reads a fragment. Of a parameter that is repeated, the last one counts. */
export function parse(fragment: string): Route {
  const [path = "", query = ""] = fragment.replace(/^#?\/?/, "").split(/\?(.*)/s);
  const params = Object.fromEntries(new URLSearchParams(query));
  const name = path === "" ? "overview" : path;
  return { view: VIEWS.find((view) => view === name) ?? null, params };
}

/** A link to a view. Parameters that are empty or undefined are left out. */
export function href(view: View, params: Readonly<Record<string, string | number | undefined>> = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== "") search.set(name, String(value));
  }
  const query = search.toString();
  return `#/${view === "overview" ? "" : view}${query === "" ? "" : `?${query}`}`;
}

/** A positive integer among the parameters, at most `most`; else the default. */
export function integer(params: Params, name: string, standard: number, most = Number.MAX_SAFE_INTEGER): number {
  const text = params[name] ?? "";
  const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : 0;
  return value >= 1 && value <= most ? value : standard;
}

export interface Paging {
  readonly page: number;
  readonly limit: number;
}

/** Rows on a page, unless one chooses. */
export const PAGE_SIZE = 50;

/** The most rows on a page of the API. */
export const MOST_ROWS = 100;

/** The page and its size. A list that the console reads whole may have larger pages than the API. */
export const paging = (params: Params, most = MOST_ROWS): Paging => ({
  page: integer(params, "page", 1),
  limit: integer(params, "limit", PAGE_SIZE, most),
});

/** A link to the same view with some parameters changed; null removes one. */
export function changed(route: Route, changes: Readonly<Record<string, string | number | null>>): string {
  const params: Record<string, string | number | undefined> = { ...route.params };
  for (const [name, value] of Object.entries(changes)) params[name] = value ?? undefined;
  return href(route.view ?? "overview", params);
}
