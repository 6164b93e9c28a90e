/** What a detail says when there is nothing to show, or less than usual. */
import { ApiError, hasNoEndpoint, passes, sentence } from "../api/errors";
import { Notice } from "../ui/parts";

interface Props {
  error: Error | null;
  /** Whether the list's row is shown anyway. */
  hasRow: boolean;
  what: string;
}

export function Missing({ error, hasRow, what }: Props) {
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
  if (hasRow && passes(error)) return null;
  return <Notice tone="bad" title={sentence(error)} />;
}
