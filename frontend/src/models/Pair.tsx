import { ActionIcon, Select } from "@mantine/core";
import { IconArrowsLeftRight } from "@tabler/icons-react";
import { go, useRoute } from "../app/route";
import { useRun } from "../app/state";
import { usePair } from "../data/hooks";
import type { ModelsFile } from "../data/types";
import { visible } from "../text";
import { Failed, Loading } from "../ui/State";
import { PairedSentences, PairedTables } from "./Paired";
import { pairNumber, turned } from "./paired";

/** Two models side by side: the same items, so each is compared with the other item by item. */
export function Pair({ file, home }: { file: ModelsFile; home: string }) {
  const run = useRun();
  const { params } = useRoute();
  const place = (name: string | null) => file.models.findIndex((model) => model.name === name);
  const best = file.models.reduce((a, model, i) => ((model.mean ?? -1) > (file.models[a]!.mean ?? -1) ? i : a), 0);
  const shown = place(run.scored.model);
  const a = place(params.get("a")) >= 0 ? place(params.get("a")) : Math.max(shown, 0);
  const asked = place(params.get("b"));
  const b = asked >= 0 && asked !== a ? asked : best !== a ? best : a === 0 ? 1 : 0;
  const pair = usePair(home, pairNumber(a, b));
  const names = [a, b].map((place) => visible(file.models[place]!.name)) as [string, string];
  const picker = (side: "a" | "b", chosen: number, other: number) => (
    <div>
      <span className="compare-side">{side.toUpperCase()}</span>
      <Select
        size="xs"
        w={280}
        aria-label={side === "a" ? "Model A" : "Model B, set against A"}
        title={side === "a" ? "Model A" : "Model B, set against A"}
        data-testid={`pair-${side}`}
        allowDeselect={false}
        searchable={file.models.length > 8}
        value={file.models[chosen]!.name}
        data={file.models.map(({ name }, i) => ({ value: name, label: visible(name), disabled: i === other }))}
        onChange={(name) => go({ params: { [side]: name } })}
      />
    </div>
  );
  // The later model of the list is the candidate of a pair; here it is always B.
  const scores = pair.data?.scores;
  const compared = scores && (b > a ? scores : turned(scores));
  return (
    <section aria-label="Two models side by side">
      <h2>Two models side by side</h2>
      <div className="compare-runs">
        {picker("a", a, b)}
        <ActionIcon
          variant="subtle"
          color="gray"
          aria-label="Exchange A and B"
          title="Exchange A and B"
          onClick={() => go({ params: { a: file.models[b]!.name, b: file.models[a]!.name } })}
        >
          <IconArrowsLeftRight size={16} />
        </ActionIcon>
        {picker("b", b, a)}
      </div>
      {pair.error && <Failed error={pair.error} />}
      {pair.data?.why && <p data-testid="pair-none">{pair.data.why}</p>}
      {!pair.data && !pair.error && <Loading what="both models" />}
      {compared && (
        <>
          <PairedSentences pair={compared} names={[names[1], names[0]]} />
          <p className="soft">Differences are B minus A, in points of 100.</p>
          <PairedTables pair={compared} />
        </>
      )}
    </section>
  );
}
