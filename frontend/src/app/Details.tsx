import { ActionIcon } from "@mantine/core";
import { IconX } from "@tabler/icons-react";
import { useEffect, useRef, useState } from "react";
import { ConceptPanel } from "../concept/ConceptPanel";
import { ItemPanel } from "../items/ItemPanel";
import { shorten } from "../text";
import { Boundary, Failed } from "../ui/State";
import { go, useRoute } from "./route";
import { useNumberParam, useRun } from "./state";

/** Open menus and dialogs of Mantine, which handle Escape before the panel does. */
const OPEN = "[aria-haspopup][data-expanded], [aria-haspopup][aria-expanded=true], [role=dialog]";

/**
 * The panel beside a view: an open item, else an open concept. Escape goes back from the item to its concept, then
 * closes the panel and returns the focus to where it was.
 */
export function Details() {
  const concept = useNumberParam("concept");
  const item = useNumberParam("item");
  const { params } = useRoute();
  const conceptBehind = params.has("item") && params.has("concept");
  const panel = useRef<HTMLElement>(null);
  const from = useRef<Element | null>(null);
  useEffect(() => {
    const focused = document.activeElement;
    // Move the focus into the panel only if it was opened by keyboard.
    if (!focused?.matches(":focus-visible") || panel.current?.contains(focused)) return;
    from.current = focused;
    panel.current?.focus({ preventScroll: true });
  }, []);
  const close = () => {
    const back = from.current;
    go({ params: { concept: null, item: null } });
    // In a narrow window the view is hidden until the panel has closed.
    requestAnimationFrame(() => requestAnimationFrame(() => back instanceof HTMLElement && back.focus()));
  };
  useEffect(() => {
    let escapeTaken = false;
    // An open menu closes before the key bubbles up here, so check in the capture phase.
    const before = (event: KeyboardEvent) => {
      escapeTaken = event.isComposing || document.querySelector(OPEN) !== null;
    };
    const after = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || event.defaultPrevented || escapeTaken) return;
      if (conceptBehind) go({ params: { item: null } });
      else close();
    };
    addEventListener("keydown", before, true);
    addEventListener("keydown", after);
    return () => {
      removeEventListener("keydown", before, true);
      removeEventListener("keydown", after);
    };
  });
  return (
    <aside
      className="panel"
      ref={panel}
      tabIndex={-1}
      aria-label={item !== null ? `Item ${item}` : `Concept ${concept ?? ""}`}
      data-testid="panel"
    >
      <ActionIcon className="close" variant="subtle" color="gray" aria-label="Close" onClick={close}>
        <IconX size={18} />
      </ActionIcon>
      <PanelContent concept={concept} item={item} />
    </aside>
  );
}

function PanelContent({ concept, item }: { concept: number | null; item: number | null }) {
  const run = useRun();
  const asked = useRoute().params.get("item");
  const key = `${run.key}/${concept}`;
  // The concept behind an opened item stays mounted, so that going back keeps its scroll position.
  const [lastConcept, setLastConcept] = useState<string | null>(null);
  if (asked === null && lastConcept !== key) setLastConcept(key);
  return (
    <>
      {(asked === null || (lastConcept === key && concept !== null)) && (
        <div className="panel-page" hidden={asked !== null}>
          <Boundary key={key}>
            {concept !== null && concept < run.width ? (
              <ConceptPanel concept={concept} />
            ) : (
              <Failed error={new Error(`There is no such concept: the SAE has concepts 0 to ${run.width - 1}.`)} />
            )}
          </Boundary>
        </div>
      )}
      {asked !== null && (
        <div className="panel-page">
          <Boundary key={`${key}/${asked}`}>
            {item !== null && item < run.items ? (
              <ItemPanel row={item} />
            ) : (
              <Failed
                error={new Error(`There is no item ${shorten(asked, 40)}: the run has items 0 to ${run.items - 1}.`)}
              />
            )}
          </Boundary>
        </div>
      )}
    </>
  );
}
