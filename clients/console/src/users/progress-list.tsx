/** The steps of a deactivation, each with a mark and words. */
import { Icon } from "../ui/icons";
import { isDone, type Step } from "./progress";

export function ProgressList({ steps, waiting }: { steps: readonly Step[]; waiting: boolean }) {
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
      </ul>
      <p role="status" class="steps-sum">
        {isDone(steps) ? "Everything of this user is stopped." : "Not everything is stopped yet."}
      </p>
      {isDone(steps) && (
        <p class="faint small">
          Sessions and keys are refused. The login is blocked by Clerk: the command for it is on the queue, and the API does not show when
          Clerk has carried it out.
        </p>
      )}
    </>
  );
}
