import { Tooltip } from "@mantine/core";
import type { ReactNode } from "react";
import { useRun } from "../app/state";

interface HintProps {
  hint: string;
  /** What is explained, for those who only hear it. */
  name?: string;
  className?: string;
  children: ReactNode;
}

/** A word with an explanation, on hover, focus or tap. */
export function Hint({ hint, name, className = "hint", children }: HintProps) {
  return (
    <Tooltip label={hint} multiline w={320} withArrow events={{ hover: true, focus: true, touch: true }}>
      <button
        type="button"
        className={className}
        aria-label={name}
        tabIndex={name === undefined ? undefined : -1}
        onClick={(event) => event.stopPropagation()}
      >
        {children}
      </button>
    </Tooltip>
  );
}

/** A word of the glossary, explained where it stands. */
export function Term({ term, children }: { term: string; children: ReactNode }) {
  const entry = useRun().glossary.find((entry) => entry.key === term);
  return entry ? <Hint hint={entry.meaning}>{children}</Hint> : children;
}
