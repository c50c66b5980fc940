import { ActionIcon } from "@mantine/core";
import { IconX } from "@tabler/icons-react";
import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import { ConceptPanel } from "../concept/ConceptPanel";
import { ItemPanel } from "../items/ItemPanel";
import { shorten } from "../text";
import { Boundary, Failed } from "../ui/State";
import { onFreeEscape } from "./escape";
import { enter, leave } from "./focus";
import { go, useRoute } from "./route";
import { useNumberParam, useRun } from "./state";

/**
 * The panel beside a view: an open item, else an open concept. Escape goes back from the item to its concept, then
 * closes the panel. If the panel was opened with the keyboard, closing it returns the focus.
 */
export function Details() {
  const run = useRun();
  const concept = useNumberParam("concept");
  const item = useNumberParam("item");
  const params = useRoute().params;
  const onItem = params.has("item");
  const behind = onItem && params.has("concept");
  const panel = useRef<HTMLElement>(null);
  const close = useCallback(() => {
    leave(panel.current);
    go({ params: { concept: null, item: null } });
  }, []);
  useEffect(() => enter(panel.current), [concept, item]);
  const keepPlace = usePlace(panel, `${run.key}/${concept}`, onItem ? String(item) : null);
  useEffect(() => onFreeEscape(() => (behind ? go({ params: { item: null } }) : close())), [behind, close]);
  return (
    <aside
      className="panel"
      ref={panel}
      tabIndex={-1}
      aria-label={item !== null ? `Item ${item}` : `Concept ${concept ?? ""}`}
      data-testid="panel"
      onScroll={keepPlace}
    >
      <ActionIcon className="close" variant="subtle" color="gray" aria-label="Close" onClick={close}>
        <IconX size={18} />
      </ActionIcon>
      <Opened concept={concept} item={item} />
    </aside>
  );
}

/**
 * Scrolls to the top of what is opened, and back to where the reader left a concept for one of its items. Returns the
 * function that remembers that place.
 */
function usePlace(panel: RefObject<HTMLElement | null>, concept: string, item: string | null): () => void {
  const left = useRef({ concept, top: 0, focus: null as Element | null });
  useLayoutEffect(() => {
    if (!panel.current) return;
    if (item !== null) {
      panel.current.scrollTop = 0;
      left.current.focus ??= panel.current.contains(document.activeElement) ? document.activeElement : null;
      return;
    }
    const { top, focus } = left.current.concept === concept ? left.current : { top: 0, focus: null };
    left.current = { concept, top, focus: null };
    if (focus instanceof HTMLElement && focus !== panel.current) focus.focus({ preventScroll: true });
    panel.current.scrollTop = top;
  }, [panel, concept, item]);
  return () => {
    if (item === null && panel.current) left.current.top = panel.current.scrollTop;
  };
}

function Opened({ concept, item }: { concept: number | null; item: number | null }) {
  const run = useRun();
  const asked = useRoute().params.get("item");
  const key = `${run.key}/${concept}`;
  // A concept from which an item is opened stays as it is, out of sight, until one returns.
  const [kept, setKept] = useState<string | null>(null);
  if (asked === null && kept !== key) setKept(key);
  return (
    <>
      {(asked === null || (kept === key && concept !== null)) && (
        <div hidden={asked !== null}>
          <Boundary key={key}>
            <OpenedConcept concept={concept} />
          </Boundary>
        </div>
      )}
      {asked !== null && (
        <Boundary key={`${key}/${asked}`}>
          <OpenedItem asked={asked} item={item} />
        </Boundary>
      )}
    </>
  );
}

function OpenedConcept({ concept }: { concept: number | null }) {
  const run = useRun();
  if (concept !== null && concept < run.width) return <ConceptPanel concept={concept} />;
  return <Failed error={new Error(`There is no such concept: the SAE has concepts 0 to ${run.width - 1}.`)} />;
}

function OpenedItem({ asked, item }: { asked: string; item: number | null }) {
  const run = useRun();
  if (item !== null && item < run.items) return <ItemPanel row={item} />;
  return (
    <Failed error={new Error(`There is no item ${shorten(asked, 40)}: the run has items 0 to ${run.items - 1}.`)} />
  );
}
