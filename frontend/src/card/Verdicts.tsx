import type { RunInfo } from "../data/types";
import { visible } from "../text";
import { symbols } from "./symbols";

const SAID = { good: "holds", bad: "does not hold", open: "cannot tell" };

/** Outcome of each test of the run's robustness. */
export function Verdicts({ verdicts }: { verdicts: NonNullable<RunInfo["verdicts"]> }) {
  return (
    <ul className="verdicts" data-testid="verdicts">
      {verdicts.map((one) => (
        <li key={one.code} className={one.tone}>
          <span className="said">{SAID[one.tone]}</span>
          <span>
            <strong>{visible(one.test)}.</strong> {symbols(visible(one.sentence))}
          </span>
        </li>
      ))}
    </ul>
  );
}
