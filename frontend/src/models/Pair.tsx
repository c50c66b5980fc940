import { ActionIcon, Select } from "@mantine/core";
import { IconArrowsLeftRight } from "@tabler/icons-react";
import { useEffect, useRef } from "react";
import { go, useRoute } from "../app/route";
import { useModel, useRun } from "../app/state";
import { PairedAnswer } from "../compare/PairedAnswer";
import { usePair } from "../data/hooks";
import { visible } from "../text";
import { Failed, Loading } from "../ui/State";

/** Two models side by side: the list of what one does better and worse than the other on. */
export function Pair() {
  const run = useRun();
  const { params } = useRoute();
  const first = run.models.indexOf(params.get("a") ?? "");
  const chosen = useModel()!;
  const a = first >= 0 ? first : chosen;
  const second = run.models.indexOf(params.get("b") ?? "");
  const b = second >= 0 && second !== a ? second : a === 0 ? 1 : 0;
  const asked = params.has("a") || params.has("b");
  const place = useRef<HTMLElement>(null);
  // A link to two models leads to them, past the list of all.
  useEffect(() => {
    if (asked) place.current?.scrollIntoView();
  }, [asked]);
  const picker = (side: "a" | "b", chosen: number, other: number, label: string) => (
    <Select
      size="xs"
      w={260}
      aria-label={label}
      data-testid={`pair-${side}`}
      allowDeselect={false}
      searchable={run.models.length > 8}
      value={run.models[chosen]!}
      data={run.models.map((name, i) => ({ value: name, label: visible(name), disabled: i === other }))}
      onChange={(name) => go({ params: { a: run.models[a]!, b: run.models[b]!, [side]: name } })}
    />
  );
  return (
    <section aria-label="Two models side by side" ref={place}>
      <h2>Two models side by side</h2>
      <div className="compare-runs">
        {picker("a", a, b, "Model")}
        <span>against</span>
        {picker("b", b, a, "Model to compare with")}
        <ActionIcon
          variant="subtle"
          color="gray"
          aria-label="Swap the two models"
          title="Swap the two models"
          onClick={() => go({ params: { a: run.models[b]!, b: run.models[a]! } })}
        >
          <IconArrowsLeftRight size={16} />
        </ActionIcon>
      </div>
      {asked ? <Difference key={`${a}/${b}`} a={a} b={b} /> : <p className="soft">Choose two models.</p>}
    </section>
  );
}

function Difference({ a, b }: { a: number; b: number }) {
  const run = useRun();
  const pair = usePair(run.key, a * run.models.length + b);
  if (pair.error) return <Failed error={pair.error} />;
  return pair.data ? (
    <PairedAnswer pair={pair.data} model={a} against={run.models[b]!} />
  ) : (
    <Loading what="both models" />
  );
}
