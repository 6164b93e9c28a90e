/** The steps of a deactivation, each with a mark and words. */
import { hasNoEndpoint } from "../api/errors";
import type { UserDetail } from "../api/types";
import { Icon } from "../ui/icons";
import { isDone, loginInWords, type Step } from "./progress";

interface Props {
  user: UserDetail;
  steps: readonly Step[];
  /** Whether what is not done gets advice. */
  waiting: boolean;
}

export function ProgressList({ user, steps, waiting }: Props) {
  return (
    <>
      <ul class="steps">
        {steps.map((step) => (
          <li key={step.name} class={step.done ? "done" : "pending"}>
            {step.done ? <Icon name="check" /> : <span class="spinner" aria-hidden="true" />}
            <span class="step-words">
              <strong>{step.name}</strong>
              <span>{step.words}</span>
              {!step.done && waiting && <span class="advice">{step.advice}</span>}
            </span>
          </li>
        ))}
        <li class="unseen">
          <Icon name="schedules" />
          <span class="step-words">
            <strong>Login</strong>
            <span>{loginInWords(user)}</span>
          </span>
        </li>
      </ul>
      <p role="status" class="steps-sum">
        {isDone(steps) ? "Sessions, keys and tasks of this user are stopped." : "Not everything is stopped yet."}
      </p>
    </>
  );
}

/** In place of the steps while there is no detail: a list's row does not say how far a deactivation is. */
export function UnknownProgress({ problem }: { problem: Error | null }) {
  if (problem === null) return <p class="faint" role="status">Loading…</p>;
  return (
    <p class="faint" role="status">
      {hasNoEndpoint(problem)
        ? "It is not known here how far the deactivation is: this API has no details of users, so nothing of their keys and commands."
        : "It is not known how far the deactivation is: the detail of this user, with keys and commands, can't be read."}
    </p>
  );
}
