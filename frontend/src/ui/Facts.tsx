import type { ReactNode } from "react";
import { Hint } from "./Hint";

export interface Fact {
  key: string;
  name: string;
  shown: ReactNode;
  /** What the name means; undefined: it explains itself. */
  hint?: string;
}

/** Numbers with their names, each explained where its name is pointed at. */
export function Facts({ facts, testId }: { facts: Fact[]; testId?: string }) {
  return (
    <dl className="numbers" data-testid={testId}>
      {facts.map(({ key, name, shown, hint }) => (
        <div key={key}>
          <dt>{hint ? <Hint hint={hint}>{name}</Hint> : name}</dt>
          <dd>{shown}</dd>
        </div>
      ))}
    </dl>
  );
}
