/** The steps of a deactivation, each with a mark and words. */
import { Icon } from "../ui/icons";
import { isDone, type Known, loginInWords, type Step } from "./progress";

interface Props {
  user: Known;
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
