/** What all paged lists share: page and size from the URL, the open row, and the table with its pages. */
import type { ComponentChildren } from "preact";
import { useCallback } from "preact/hooks";
import { changed, paging } from "../place";
import { go, useRoute } from "../route";
import { RemoveFilters } from "./filters";
import { Empty } from "./parts";
import type { IconName } from "./icons";
import { Pager, Table, type Column } from "./table";

/** Parameters that filter nothing. */
const PLACE: readonly string[] = ["page", "limit", "open", "by"];

interface Props<Row> {
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly total: number;
  readonly capped?: boolean | undefined;
  /** The most rows on a page, if they are more than a page of the API has. */
  readonly most?: number;
  readonly id: (row: Row) => string;
  /** Rows of the page before are still shown. */
  readonly busy: boolean;
  readonly marked?: ((row: Row) => boolean) | undefined;
  readonly select?: { head: ComponentChildren; cell: (row: Row) => ComponentChildren };
  readonly empty: { icon: IconName; title: string; hint?: string };
}

export function Listing<Row>({ caption, columns, rows, total, capped, most, id, busy, marked, select, empty }: Props<Row>) {
  const route = useRoute();
  const { page, limit } = paging(route.params, most);
  // The same function until something else than the open row changes, so that rows are not drawn anew.
  const link = useCallback((row: Row) => changed(route, { open: id(row) }), [changed(route, { open: null })]);
  const pages = (
    <Pager page={page} limit={limit} total={total} capped={capped ?? false} most={most} to={(changes) => changed(route, { ...changes, open: null })} onGo={go} />
  );
  if (rows.length === 0 && total === 0) {
    const filtered = Object.keys(route.params).some((name) => !PLACE.includes(name));
    return (
      <Empty icon={empty.icon} title={empty.title} action={filtered && <RemoveFilters />}>
        {empty.hint}
      </Empty>
    );
  }
  return (
    <>
      <Table
        caption={caption}
        columns={columns}
        rows={rows}
        id={id}
        link={link}
        open={route.params["open"]}
        marked={marked}
        busy={busy}
        {...(select && { select })}
      />
      {rows.length === 0 && <Empty icon={empty.icon} title="This page is past the end of the list." />}
      {pages}
    </>
  );
}
