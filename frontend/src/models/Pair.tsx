import { ActionIcon, Select } from "@mantine/core";
import { IconArrowsLeftRight } from "@tabler/icons-react";
import { useEffect, useMemo, useRef } from "react";
import { gapOf, outcomeOf, type Slice, widest } from "../answer/slices";
import { address, go, useRoute } from "../app/route";
import { useModel, useRun } from "../app/state";
import { PairedAnswer } from "../compare/PairedAnswer";
import { usePair, useSlices, useTable } from "../data/hooks";
import { LeftOut } from "../data/source";
import { plural, points } from "../format";
import { shorten, visible } from "../text";
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
        <span>less</span>
        {picker("b", b, a, "Model whose scores are taken off")}
        <ActionIcon
          variant="subtle"
          color="gray"
          aria-label="Exchange both models"
          title="Exchange both models"
          onClick={() => go({ params: { a: run.models[b]!, b: run.models[a]! } })}
        >
          <IconArrowsLeftRight size={16} />
        </ActionIcon>
      </div>
      {asked ? <Difference key={`${a}/${b}`} a={a} b={b} /> : <p className="soft">Choose two.</p>}
    </section>
  );
}

/** The tested list from a server; an export, which cannot hold one for each pair, has plain gaps. */
function Difference({ a, b }: { a: number; b: number }) {
  const run = useRun();
  const pair = usePair(run.key, a * run.models.length + b);
  if (pair.error instanceof LeftOut) return <PlainGaps a={a} b={b} />;
  if (pair.error) return <Failed error={pair.error} />;
  return pair.data ? (
    <PairedAnswer pair={pair.data} model={a} against={run.models[b]!} />
  ) : (
    <Loading what="both models" />
  );
}

/** What an item is about; the form of its text and options tells little without a test. */
const ofSubjects = (slices: Map<number, Slice>) => [...slices.values()].filter(({ family }) => family !== "features");

/** Gaps alone: slices on which the difference is furthest from what it is elsewhere. */
function PlainGaps({ a, b }: { a: number; b: number }) {
  const run = useRun();
  const route = useRoute();
  const slices = useSlices(run.key);
  const scores = useTable(run.key, "scores.parquet");
  const rows = useMemo(
    () => (slices.data && scores.data ? widest(ofSubjects(slices.data), outcomeOf(scores.data, a, [b]), 6) : null),
    [slices.data, scores.data, a, b],
  );
  const error = slices.error ?? scores.error;
  if (error) return <Failed error={error} />;
  if (!rows) return <Loading what="both models" />;
  return (
    <>
      <p className="soft" data-testid="plain-gaps">
        The difference of both in points of 100, where it is least like that on the other items. An exported page does
        not test these lists: small slices may be chance.
      </p>
      <ol className="levels">
        {rows.map(({ slice, level }) => (
          <li key={slice.number}>
            <a
              href={address(route, {
                view: "slice",
                rest: slice.number,
                params: { model: run.models[a]!, against: run.models[b]! },
              })}
            >
              <bdi>{shorten(visible(slice.name), 90)}</bdi>
            </a>
            <span className="soft">{points(level.outside, 0)} on the others</span>
            <span className={gapOf(level) < 0 ? "points weak" : "points strong"}>{points(level.inside, 0)}</span>
            <span className="soft">{plural(level.items, "item")}</span>
          </li>
        ))}
      </ol>
    </>
  );
}
