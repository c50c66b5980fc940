import { useState } from "react";
import { go } from "../app/route";
import { useRun } from "../app/state";
import { useTable } from "../data/hooks";
import { text } from "../data/table";
import type { ActiveConcept } from "../data/types";
import { decimal, integer, magnitude } from "../format";
import { Term } from "../ui/Hint";
import { ConceptLink, ConceptName, Status } from "../ui/Marks";

/** Concepts that are listed before one asks for all. */
const FIRST = 20;

interface ActiveConceptsProps {
  concepts: ActiveConcept[];
  /** How many are active in the item, listed or not. */
  active: number;
  /** Whether there is a text whose tokens a concept can colour. */
  colours: boolean;
  /** The concept that the item was opened from. */
  opener: number | null;
  chosen: number | null;
  onChoose: (concept: number | null) => void;
  /** Null: none is pointed at any more. */
  onPoint: (concept: number | null) => void;
}

/** The concepts that are active in an item. One that is pointed at or chosen colours its tokens. */
export function ActiveConcepts({ concepts, active, colours, opener, chosen, onChoose, onPoint }: ActiveConceptsProps) {
  const run = useRun();
  const table = useTable(run.key, "concepts.parquet").data;
  const [all, setAll] = useState(false);
  const shown = all ? concepts : concepts.slice(0, FIRST);
  const choose = (concept: number) => {
    onPoint(null);
    onChoose(chosen === concept ? null : concept);
  };
  return (
    <>
      <p className="soft">
        Ordered by <Term term="saliency">saliency</Term>, then by <Term term="cas">CAS</Term>
        {opener !== null && "; the concept that you came from is first"}.{" "}
        {colours && "Point at a concept, or choose it, to colour the tokens on which it is active. "}
        {concepts.length < active &&
          `This export has ${concepts.length} of the ${integer(active)} concepts, and the strongest tokens of each.`}
      </p>
      <ul className="active-concepts" data-testid="item-concepts" onBlur={() => onPoint(null)}>
        {shown.map(({ concept, cas, saliency }) => {
          const label = table && text(table, "label", concept);
          return (
            <li
              key={concept}
              onPointerEnter={(event) => event.pointerType === "mouse" && onPoint(concept)}
              onPointerLeave={(event) => event.pointerType === "mouse" && onPoint(null)}
              onFocus={() => onPoint(concept)}
            >
              {colours ? (
                <button
                  type="button"
                  className="colours"
                  aria-pressed={chosen === concept}
                  onClick={() => choose(concept)}
                >
                  <ConceptName concept={concept} label={label} />
                </button>
              ) : (
                <ConceptLink concept={concept} label={label} />
              )}
              {table && <Status status={text(table, "performance_status", concept)} />}
              <span className="soft">
                saliency {decimal(saliency)}, CAS {magnitude(cas)}
              </span>
              {colours && (
                <button
                  type="button"
                  className="link"
                  aria-label={`Open concept ${concept}`}
                  onClick={() => go({ params: { concept, item: null } })}
                >
                  Open
                </button>
              )}
            </li>
          );
        })}
      </ul>
      {shown.length < concepts.length && (
        <button type="button" className="link" onClick={() => setAll(true)}>
          Show all {integer(concepts.length)}
        </button>
      )}
    </>
  );
}
