import { useState } from "react";
import { go } from "../app/route";
import { useRun } from "../app/state";
import { useEntryExamples } from "../data/hooks";
import type { EntryExample, ListedEntry, MatchPair } from "../data/types";
import { integer, plural } from "../format";
import { Prompt } from "../items/ActiveItem";
import { activityOf } from "../items/activity";
import { ConceptName } from "../ui/Marks";
import { Failed, Loading } from "../ui/State";
import { absentSentence } from "./words";
import "../items/items.css";

/** Examples that are shown at first. */
const FIRST = 6;

/** An entry's examples, their tokens coloured by one of its concepts; or why there are none. */
export function Examples({ number, entry }: { number: number; entry: ListedEntry }) {
  const run = useRun();
  const examples = useEntryExamples(run, number);
  const concepts = entry.pairs.filter(({ concept }) => concept !== null);
  const [chosen, setChosen] = useState<number | null>(concepts[0]?.concept ?? null);
  const [pointed, setPointed] = useState<number | null>(null);
  const [all, setAll] = useState(false);
  if (examples.error) return <Failed error={examples.error} />;
  if (!examples.data) return <Loading what="its examples" />;
  const { absent, examples: every, tokens } = examples.data;
  if (absent !== null)
    return (
      <p className="soft" data-testid="examples-absent">
        {absentSentence(absent)}
      </p>
    );
  const coloured = pointed ?? chosen;
  const most = Math.max(0, ...every.map((example) => activityOf(example.concepts, coloured).most));
  return (
    <>
      <p className="soft">
        {every.length < (entry.examples ?? 0)
          ? `${integer(every.length)} of its ${plural(entry.examples ?? 0, "example")}. `
          : ""}
        {concepts.length > 0 && "Those in which its strongest concept is most active come first. "}
        {concepts.length > 0 &&
          (tokens
            ? "Coloured: how strongly the concept that you choose is active on each token. Outlined: the strongest."
            : "Outlined: the token on which the concept that you choose is strongest.")}
      </p>
      {concepts.length > 0 && (
        <Concepts concepts={concepts} examples={every} chosen={chosen} onChoose={setChosen} onPoint={setPointed} />
      )}
      {(all ? every : every.slice(0, FIRST)).map((example, i) => (
        <Example key={i} example={example} coloured={coloured} most={most} />
      ))}
      {every.length > FIRST && !all && (
        <button type="button" className="link" onClick={() => setAll(true)}>
          Show all {integer(every.length)}
        </button>
      )}
    </>
  );
}

interface ConceptsProps {
  concepts: MatchPair[];
  examples: EntryExample[];
  chosen: number | null;
  onChoose: (concept: number | null) => void;
  /** With null when the pointer leaves. */
  onPoint: (concept: number | null) => void;
}

/** The entry's concepts. One that is pointed at or chosen colours the examples. */
function Concepts({ concepts, examples, chosen, onChoose, onPoint }: ConceptsProps) {
  return (
    <ul className="active-concepts" data-testid="entry-concepts" onBlur={() => onPoint(null)}>
      {concepts.map(({ concept, label }) => {
        const active = examples.filter((example) => example.concepts.some((one) => one.concept === concept)).length;
        return (
          <li
            key={concept}
            onPointerEnter={(event) => event.pointerType === "mouse" && onPoint(concept)}
            onPointerLeave={(event) => event.pointerType === "mouse" && onPoint(null)}
            onFocus={() => onPoint(concept)}
          >
            <button
              type="button"
              className="colours"
              aria-pressed={chosen === concept}
              onClick={() => {
                onPoint(null);
                onChoose(chosen === concept ? null : concept);
              }}
            >
              <ConceptName concept={concept!} label={label} />
            </button>
            <span className="soft">
              active in {integer(active)} of {integer(examples.length)} shown
            </span>
          </li>
        );
      })}
    </ul>
  );
}

function Example({ example, coloured, most }: { example: EntryExample; coloured: number | null; most: number }) {
  const { item } = example;
  return (
    <div className="example" data-testid="entry-example">
      {item !== null && (
        <p className="example-head">
          <button type="button" className="link" onClick={() => go({ params: { item } })}>
            Open item
          </button>
        </p>
      )}
      <Prompt item={example} activity={{ ...activityOf(example.concepts, coloured), most }} />
    </div>
  );
}
