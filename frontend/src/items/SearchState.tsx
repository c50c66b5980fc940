import { Button, Progress } from "@mantine/core";
import { useEffect, useState } from "react";
import { integer } from "../format";
import { visible } from "../text";
import type { Search } from "./useSearch";

/** Whose words the shown items hold, and how the search for others stands. */
export function searchWords({ query, hits, stage }: Pick<Search, "query" | "hits" | "stage">): string {
  const parts = [hits ? ` contain “${visible(hits.query)}”` : ""];
  if (hits && hits.total > hits.rows.length) {
    parts.push(`the search found ${integer(hits.total)} and shows the first ${integer(hits.rows.length)}`);
  }
  if (stage === "going") parts.push(`searching for “${visible(query)}”`);
  if (stage === "stopped") parts.push(`the search for “${visible(query)}” was stopped`);
  return parts.join("; ");
}

/** Milliseconds that a search may take before it can be stopped: most are over by then. */
const PATIENCE = 300;

/** How far a search is that takes long, and a way to stop it or to begin it again. */
export function SearchState({ search }: { search: Search }) {
  const [long, setLong] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLong(true), PATIENCE);
    return () => clearTimeout(timer);
  }, []);
  if (!long) return null;
  return (
    <div className="searching">
      {search.share !== null && <Progress value={100 * search.share} aria-label="Searching items" />}
      <Button size="compact-xs" variant="default" onClick={search.stage === "stopped" ? search.again : search.cancel}>
        {search.stage === "stopped" ? "Search again" : "Stop"}
      </Button>
    </div>
  );
}
