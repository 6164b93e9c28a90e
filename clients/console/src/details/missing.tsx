/** What a detail says when there is nothing to show, or less than usual. */
import { ApiError, hasNoEndpoint, passes, problemOf, sentence, type Reading } from "../api/errors";
import { Notice } from "../ui/parts";

interface Props {
  query: Reading;
  /** Whether the list's row is shown anyway. */
  hasRow: boolean;
  what: string;
}

export function Missing({ query, hasRow, what }: Props) {
  const error = problemOf(query);
  if (error === null) return hasRow ? null : <p class="faint" role="status">Loading…</p>;
  if (hasNoEndpoint(error)) {
    return hasRow ? (
      <p class="faint small">This API has no details of {what} yet: these are the fields of the list.</p>
    ) : (
      <Notice tone="info" title={`This API has no details of ${what} yet.`}>
        What the list knows is shown when its row is on the page.
      </Notice>
    );
  }
  if (error instanceof ApiError && error.status === 404) {
    return (
      <Notice tone="warn" title={sentence(error)}>
        It may be deleted, or the id is of something else.
      </Notice>
    );
  }
  if (passes(error)) {
    return (
      <Notice tone="info" title={sentence(error)}>
        This detail can't be read. The console keeps trying{hasRow && ", and shows the fields of the list meanwhile"}.
      </Notice>
    );
  }
  return <Notice tone="bad" title={sentence(error)} />;
}
