/** A list: rows that open their detail, and pages. On a narrow screen each row is a card. */
import type { ComponentChildren, VNode } from "preact";
import { useRef, useState } from "preact/hooks";
import { count } from "../format";
import { MOST_ROWS } from "../place";
import { Icon, type IconName } from "./icons";

export interface Column<Row> {
  readonly label: string;
  readonly cell: (row: Row) => ComponentChildren;
  /** Numbers stand at the end of their column. */
  readonly numeric?: boolean;
  /** May take what others leave. */
  readonly wide?: boolean;
  /** Not shown while a detail stands next to the list. */
  readonly extra?: boolean;
  /**
   * Its width as a track of a grid that does not depend on the cells, such as `minmax(0, 2fr)`. If all columns
   * have one, rows are laid out independently of each other: see {@link tracksOf}.
   */
  readonly track?: string;
}

interface Props<Row> {
  /** What the rows are, for a screen reader. */
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly id: (row: Row) => string;
  /** The link that opens a row's detail; it is put around the first column's cell. */
  readonly link: (row: Row) => string;
  /** The id of the row that is open. */
  readonly open?: string | undefined;
  /** Rows that are pointed out. */
  readonly marked?: ((row: Row) => boolean) | undefined;
  readonly busy: boolean;
  /** A cell in front of each row, and of the heading. */
  readonly select?: { head: ComponentChildren; cell: (row: Row) => ComponentChildren };
}

/** What in a row has a click of its own. */
const OWN_CLICK = "a, button, input, label, select";

export function Table<Row>({ caption, columns, rows, id, link, open, marked, busy, select }: Props<Row>) {
  const kept = useKeptRows<Row>();
  const tracks = tracksOf(columns, select !== undefined);
  const look = [busy && "busy", tracks && "tracks", tracks && isBroad(columns) && "broad"].filter(Boolean).join(" ");
  return (
    <div class="table-frame" aria-busy={busy}>
      <table role="table" class={look} {...(tracks && { style: tracks })} onKeyDown={move}>
        <caption class="hidden">{caption}</caption>
        <thead role="rowgroup">
          <tr role="row">
            {select && (
              <th role="columnheader" scope="col" class="select">
                {select.head}
              </th>
            )}
            {columns.map((column) => (
              <th role="columnheader" scope="col" key={column.label} class={classes(column)}>
                {column.label}
              </th>
            ))}
          </tr>
        </thead>
        {blocks(rows).map((block, place) => (
          <tbody role="rowgroup" key={place} {...(tracks && { style: { "--rows": block.length } })}>
            {block.map((row) => {
              const drawn = { row, columns, link, isOpen: id(row) === open, mark: marked?.(row) };
              return select ? <DrawnRow key={id(row)} {...drawn} select={select.cell(row)} /> : kept(id(row), drawn);
            })}
          </tbody>
        ))}
      </table>
    </div>
  );
}

/** The width of the column in front of the others, by which rows are selected. */
const SELECT_TRACK = "32px";

/**
 * The columns' widths for the style sheet, with and without the columns that are {@link Column.extra}; null if some
 * column's width follows its cells. Such a table measures every cell whenever its width changes, which takes too long
 * with 1,000 rows: with tracks, the browser lays out only what is on the screen.
 */
export function tracksOf(columns: readonly Pick<Column<never>, "track" | "extra">[], isSelected = false): Record<string, string> | null {
  if (columns.some(({ track }) => track === undefined)) return null;
  const template = (shown: typeof columns) => [...(isSelected ? [SELECT_TRACK] : []), ...shown.map(({ track }) => track)].join(" ");
  return { "--tracks": template(columns), "--tracks-without-extra": template(columns.filter(({ extra }) => !extra)) };
}

/** Pixels of columns of a fixed width from which on a table leaves out the extra ones earlier than others do. */
const BROAD_PX = 600;

const isBroad = (columns: readonly Pick<Column<never>, "track">[]): boolean =>
  columns.reduce((sum, { track }) => sum + Number(/^(\d+)px$/.exec(track ?? "")?.[1] ?? 0), 0) > BROAD_PX;

/** Rows by blocks that the browser lays out together, or not at all. A page of the API is one block. */
function blocks<Row>(rows: readonly Row[]): (readonly Row[])[] {
  const number = Math.max(1, Math.ceil(rows.length / MOST_ROWS));
  return Array.from({ length: number }, (_, place) => rows.slice(place * MOST_ROWS, (place + 1) * MOST_ROWS));
}

interface Drawn<Row> {
  readonly row: Row;
  readonly columns: readonly Column<Row>[];
  readonly link: (row: Row) => string;
  readonly isOpen: boolean;
  /** Whether it is pointed out; undefined if no row is. */
  readonly mark: boolean | undefined;
}

/** Draws rows anew only if something about them has changed: a list has up to 1,000, and one opens. */
function useKeptRows<Row>(): (id: string, drawn: Drawn<Row>) => VNode {
  const kept = useRef(new Map<string, { drawn: Drawn<Row>; element: VNode }>());
  // Only the rows that are drawn this time are kept for the next time.
  const last = kept.current;
  const current = new Map<string, { drawn: Drawn<Row>; element: VNode }>();
  kept.current = current;
  return (id, drawn) => {
    const before = last.get(id);
    const same = before && (Object.keys(drawn) as (keyof Drawn<Row>)[]).every((name) => Object.is(before.drawn[name], drawn[name]));
    const element = same ? before.element : <DrawnRow key={id} {...drawn} />;
    current.set(id, { drawn, element });
    return element;
  };
}

function DrawnRow<Row>({ row, columns, link, isOpen, mark, select }: Drawn<Row> & { select?: ComponentChildren }) {
  const names = [isOpen && "open", mark === true && "marked", mark === false && "unmarked"];
  return (
    <tr
      role="row"
      class={names.filter(Boolean).join(" ")}
      onClick={(event) => {
        const target = event.target as Element;
        if (target.closest(OWN_CLICK) || getSelection()?.toString()) return;
        event.currentTarget.querySelector<HTMLAnchorElement>("a.row-link")?.click();
      }}
    >
      {select !== undefined && (
        <td role="cell" class="select">
          {select}
        </td>
      )}
      {columns.map((column, place) => (
        <td role="cell" key={column.label} class={classes(column)} data-label={column.label}>
          {place === 0 ? (
            <a class="row-link" href={link(row)} aria-current={isOpen ? "true" : undefined}>
              {column.cell(row)}
            </a>
          ) : (
            column.cell(row)
          )}
        </td>
      ))}
    </tr>
  );
}

const classes = <Row,>({ numeric, wide, extra }: Column<Row>) =>
  [numeric && "numeric", wide && "wide", extra && "extra"].filter(Boolean).join(" ");

/** The arrow keys go from row to row. */
function move(event: KeyboardEvent & { currentTarget: HTMLTableElement }) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const links = [...event.currentTarget.querySelectorAll<HTMLAnchorElement>("a.row-link")];
  const place = links.findIndex((link) => link === event.target);
  if (step === undefined || place === -1) return;
  event.preventDefault();
  links[place + step]?.focus();
}

/** Lines where rows will be, and what is being read if that is worth a sentence. */
export function TableLoading({ columns, text }: { columns: number; text?: string }) {
  return (
    <div class="loading" role="status">
      <span class={text === undefined ? "hidden" : "loading-text faint"}>{text ?? "Loading"}</span>
      {Array.from({ length: 8 }, (_, row) => (
        <div class="loading-row" key={row} aria-hidden="true">
          {Array.from({ length: Math.min(columns, 6) }, (_, cell) => (
            <span key={cell} />
          ))}
        </div>
      ))}
    </div>
  );
}

interface PagerProps {
  readonly page: number;
  readonly limit: number;
  readonly total: number;
  /** The total is only a lower bound. */
  readonly capped?: boolean;
  /** A size that is offered besides {@link PAGE_SIZES}. */
  readonly most?: number | undefined;
  readonly to: (changes: Readonly<Record<string, number | null>>) => string;
  readonly onGo: (link: string) => void;
}

export const PAGE_SIZES = [25, 50, 100] as const;

export function Pager({ page, limit, total, capped = false, most, to, onGo }: PagerProps) {
  const pages = Math.max(1, Math.ceil(total / limit));
  const first = (page - 1) * limit + 1;
  const [typed, setTyped] = useState<string | null>(null);
  const submit = (event: Event) => {
    event.preventDefault();
    const wanted = Number.parseInt(typed ?? "", 10);
    if (wanted >= 1) onGo(to({ page: Math.min(wanted, pages) }));
    setTyped(null);
  };
  const step = (label: string, icon: IconName, target: number, possible: boolean) => (
    <a
      class="button icon-only quiet"
      title={label}
      {...(possible ? { href: to({ page: target === 1 ? null : target }) } : { role: "link", "aria-disabled": "true" })}
    >
      <Icon name={icon} />
      <span class="hidden">{label}</span>
    </a>
  );
  return (
    <nav class="pager" aria-label="Pages">
      <span class="hidden" role="status">
        {first > total && total > 0 ? "Past the end" : `Page ${count(page)}, ${count(limit)} rows a page`}
      </span>
      <span class="pager-range">
        {total === 0 ? "No rows" : first > total ? `Past the end: ${count(total)} rows` : `${count(first)}–${count(Math.min(total, first + limit - 1))} of ${count(total)}${capped ? " or more" : ""}`}
      </span>
      <label class="inline">
        <span>Rows</span>
        <select value={limit} onChange={(event) => onGo(to({ limit: Number(event.currentTarget.value), page: null }))}>
          {[...new Set([...PAGE_SIZES, limit, most ?? limit])].sort((a, b) => a - b).map((size) => (
            <option key={size} value={size}>
              {count(size)}
            </option>
          ))}
        </select>
      </label>
      <span class="pager-steps">
        {step("First page", "first", 1, page > 1)}
        {step("Previous page", "previous", Math.min(page - 1, pages), page > 1)}
        <form onSubmit={submit} class="inline">
          <label class="inline">
            <span>Page</span>
            <input
              class="page"
              inputMode="numeric"
              pattern="[0-9]*"
              value={typed ?? String(page)}
              onInput={(event) => setTyped(event.currentTarget.value)}
              onBlur={() => setTyped(null)}
            />
          </label>
          <span>of {count(pages)}</span>
        </form>
        {step("Next page", "next", page + 1, page < pages)}
        {step("Last page", "last", pages, page < pages)}
      </span>
    </nav>
  );
}
