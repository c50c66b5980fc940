import { Tooltip } from "@mantine/core";
import type { ReactNode } from "react";
import { useRun } from "../app/state";

export interface Fact {
  key: string;
  name: string;
  shown: ReactNode;
  /** Tooltip that explains the name; undefined: none. */
  hint?: string;
}

/** A list of named numbers; names with a hint have a tooltip. */
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

/** Text with a tooltip, shown on hover, focus or tap. */
export function Hint({ hint, children }: { hint: string; children: ReactNode }) {
  return (
    <Tooltip label={hint} multiline w={320} withArrow events={{ hover: true, focus: true, touch: true }}>
      <button type="button" className="hint" onClick={(event) => event.stopPropagation()}>
        {children}
      </button>
    </Tooltip>
  );
}

/** A glossary term with its meaning in a tooltip. */
export function Term({ term, children }: { term: string; children: ReactNode }) {
  const entry = useRun().glossary.find((entry) => entry.key === term);
  return entry ? <Hint hint={entry.meaning}>{children}</Hint> : children;
}
