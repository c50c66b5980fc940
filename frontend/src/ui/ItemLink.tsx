import type { ReactNode } from "react";
import { go } from "../app/route";
import { useRun } from "../app/state";
import { holds } from "../data/hooks";

/** Opens an item beside the view; plain text where this page leaves it out. */
export function ItemLink({ row, className = "", children }: { row: number; className?: string; children: ReactNode }) {
  if (!holds(useRun(), "item", row)) return <span className={className}>{children}</span>;
  return (
    <button type="button" className={`link ${className}`} onClick={() => go({ params: { item: row } })}>
      {children}
    </button>
  );
}
