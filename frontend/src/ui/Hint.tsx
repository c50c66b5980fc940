import { Tooltip } from "@mantine/core";
import type { ReactNode } from "react";

/** A word with what it means, on hover and on focus. */
export function Hint({ hint, children }: { hint: string; children: ReactNode }) {
  return (
    <Tooltip label={hint} multiline maw={340} withArrow openDelay={200} events={{ hover: true, focus: true, touch: true }}>
      <span className="hint" tabIndex={0}>{children}</span>
    </Tooltip>
  );
}
