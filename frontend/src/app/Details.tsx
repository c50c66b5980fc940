import { ActionIcon } from "@mantine/core";
import { IconX } from "@tabler/icons-react";
import { useEffect } from "react";
import { ConceptPanel } from "../concept/ConceptPanel";
import { ItemPanel } from "../items/ItemPanel";
import { Boundary, Failed } from "../ui/State";
import { go } from "./route";
import { useNumberParam, useRun } from "./state";

const close = () => go({ params: { concept: null, item: null } });

/** The panel beside a view: an opened item, else an opened concept. Escape closes it. */
export function Details() {
  const run = useRun();
  const concept = useNumberParam("concept");
  const item = useNumberParam("item");
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "Escape" && !event.defaultPrevented) close();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  return (
    <aside className="panel" aria-label={item !== null ? "Item" : "Concept"} data-testid="panel">
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
  if (item !== null) {
    return item < run.items ? <ItemPanel row={item} /> : <Failed error={new Error(`There is no item ${item}: the run has items 0 to ${run.items - 1}.`)} />;
  }
  if (concept !== null && concept < run.width) return <ConceptPanel concept={concept} />;
  return <Failed error={new Error(`There is no such concept: the SAE has concepts 0 to ${run.width - 1}.`)} />;
}
