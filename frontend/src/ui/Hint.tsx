import { Popover } from "@mantine/core";
import { type FocusEvent, type PointerEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { go } from "../app/route";
import { useRun } from "../app/state";

/** Milliseconds until a hint goes, so that the pointer can move into it. */
const LINGERS = 160;

interface HintProps {
  hint: string;
  /** What the glossary is opened at; null: it has no entry. */
  term?: string | null;
  /** What is explained, for those who only hear it. */
  name?: string;
  className?: string;
  /** Out of the order of the Tab key, where something else opens the hint with a key. */
  tabbable?: boolean;
  children: ReactNode;
}

/** A word with an explanation, on hover, focus or tap. It opens upwards, so it covers no row of a table. */
export function Hint({ hint, term = null, name, className = "hint", tabbable = true, children }: HintProps) {
  const [opened, setOpened] = useState(false);
  const waiting = useRef(0);
  const dropdown = useRef<HTMLDivElement>(null);
  const known = useRun().glossary.some((entry) => entry.key === term);
  useEffect(() => () => clearTimeout(waiting.current), []);
  const open = () => {
    clearTimeout(waiting.current);
    setOpened(true);
  };
  const soonClose = () => {
    clearTimeout(waiting.current);
    waiting.current = window.setTimeout(() => setOpened(false), LINGERS);
  };
  const byMouse = (act: () => void) => (event: PointerEvent) => event.pointerType === "mouse" && act();
  const onBlur = (event: FocusEvent) => {
    if (!dropdown.current?.contains(event.relatedTarget)) setOpened(false);
  };
  return (
    <Popover
      opened={opened}
      onChange={setOpened}
      position="top"
      width={320}
      withArrow
      shadow="md"
      transitionProps={{ duration: 0 }}
    >
      <Popover.Target>
        <button
          type="button"
          className={className}
          tabIndex={tabbable ? undefined : -1}
          aria-label={name}
          onClick={(event) => {
            event.stopPropagation();
            open();
          }}
          onPointerEnter={byMouse(open)}
          onPointerLeave={byMouse(soonClose)}
          onFocus={open}
          onBlur={onBlur}
        >
          {children}
        </button>
      </Popover.Target>
      <Popover.Dropdown
        ref={dropdown}
        className="hint-text"
        aria-label={name ?? "What this means"}
        data-testid="hint"
        onPointerEnter={open}
        onPointerLeave={byMouse(soonClose)}
      >
        {hint}
        {known && (
          <>
            {" "}
            <button
              type="button"
              className="link"
              onClick={() => {
                setOpened(false);
                go({ params: { glossary: term } });
              }}
            >
              Glossary
            </button>
          </>
        )}
      </Popover.Dropdown>
    </Popover>
  );
}

/** A word of the glossary, explained where it stands. */
export function Term({ term, children }: { term: string; children: ReactNode }) {
  const entry = useRun().glossary.find((entry) => entry.key === term);
  return entry ? (
    <Hint hint={entry.meaning} term={term}>
      {children}
    </Hint>
  ) : (
    children
  );
}
