import { ActionIcon } from "@mantine/core";
import { IconX } from "@tabler/icons-react";
import { useCallback, useEffect, useRef } from "react";
import { ConceptPanel } from "../concept/ConceptPanel";
import { ItemPanel } from "../items/ItemPanel";
import { shorten } from "../text";
import { Boundary, Failed } from "../ui/State";
import { enter, leave } from "./focus";
import { go, useRoute } from "./route";
import { useNumberParam, useRun } from "./state";

/** The panel beside a view: an opened item, else an opened concept. Escape closes it, and a focus that a key brought here goes back. */
export function Details() {
  const run = useRun();
  const concept = useNumberParam("concept");
  const item = useNumberParam("item");
  const panel = useRef<HTMLElement>(null);
  const close = useCallback(() => {
    leave(panel.current);
    go({ params: { concept: null, item: null } });
  }, []);
  useEffect(() => enter(panel.current), [concept, item]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "Escape" && !event.defaultPrevented) close();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [close]);
  return (
    <aside className="panel" ref={panel} tabIndex={-1} aria-label={item !== null ? `Item ${item}` : `Concept ${concept ?? ""}`} data-testid="panel">
      <ActionIcon className="close" variant="subtle" color="gray" aria-label="Close" onClick={close}>
        <IconX size={18} />
      </ActionIcon>
      <Boundary key={`${run.key}/${concept}/${item}`}>
        <Opened concept={concept} item={item} />
      </Boundary>
    </aside>
  );
}

function Opened({ concept, item }: { concept: number | null; item: number | null }) {
  const run = useRun();
  const asked = useRoute().params.get("item");
  if (asked !== null) {
    if (item !== null && item < run.items) return <ItemPanel row={item} />;
    return <Failed error={new Error(`There is no item ${shorten(asked, 40)}: the run has items 0 to ${run.items - 1}.`)} />;
  }
  if (concept !== null && concept < run.width) return <ConceptPanel concept={concept} />;
  return <Failed error={new Error(`There is no such concept: the SAE has concepts 0 to ${run.width - 1}.`)} />;
}
