import { Button } from "@mantine/core";
import { useState } from "react";
import { address, useRoute } from "../app/route";
import { useRun } from "../app/state";
import type { ListedAnswer, ListedFinding } from "../data/types";
import { visible } from "../text";
import { IntervalBar, roundedUp } from "../ui/IntervalBar";
import { ItemLink } from "../ui/Marks";

/** Findings of each side that are shown at first. */
const SIDE = 5;
const SIDES = [
  { tone: "weak", has: ({ gap }: ListedFinding) => gap < 0 },
  { tone: "strong", has: ({ gap }: ListedFinding) => gap >= 0 },
];

interface FindingsProps {
  answer: ListedAnswer;
  /** Place of its model; null: slices of two runs lead nowhere else. */
  model: number | null;
  /** As the address names what its scores are set against; null: models at its level. */
  against: string | null;
}

/** The list of an answer, a line each; a line leads to its slice. */
export function Findings({ answer, model, against }: FindingsProps) {
  const run = useRun();
  const { findings } = answer;
  const params = { against, ...(model !== null && run.models.length > 1 ? { model: run.models[model]! } : {}) };
  const [all, setAll] = useState(false);
  const most = roundedUp(Math.max(0.01, ...findings.flatMap(({ low, high }) => [Math.abs(low), Math.abs(high)])));
  const scale = { from: -most, to: most, neutral: 0 };
  const sides = SIDES.map((side) => ({ ...side, listed: findings.filter(side.has) }));
  const hidden = sides.reduce((sum, { listed }) => sum + Math.max(0, listed.length - SIDE), 0);
  return (
    <>
      {sides.map(
        ({ tone, listed }) =>
          listed.length > 0 && (
            <section key={tone} aria-label={listed[0]!.side}>
              <h2 className={`side ${tone}`}>{listed[0]!.side}</h2>
              <ol className="findings" start={listed[0]!.number}>
                {listed.slice(0, all ? listed.length : SIDE).map((finding) => (
                  <FindingLine
                    key={finding.number}
                    finding={finding}
                    whole={findings.find(({ number }) => number === finding.within)?.name}
                    tone={tone}
                    scale={scale}
                    params={params}
                  />
                ))}
              </ol>
            </section>
          ),
      )}
      {hidden > 0 && !all && (
        <Button size="xs" variant="subtle" onClick={() => setAll(true)} data-testid="all-findings">
          {hidden} more
        </Button>
      )}
    </>
  );
}

interface FindingLineProps {
  finding: ListedFinding;
  /** The line in which it lies. */
  whole: string | undefined;
  tone: string;
  scale: { from: number; to: number; neutral: number };
  params: Record<string, string | null>;
}

function FindingLine({ finding, whole, tone, scale, params }: FindingLineProps) {
  const route = useRoute();
  const { number, slice, name, gap, low, high, points, spread, belief, believed, size, example, quote } = finding;
  return (
    <li className="finding" data-testid="finding" data-slice={slice}>
      <span className="number-of">{number}</span>
      <a className="finding-name" href={address(route, { view: "slice", slice, params })}>
        <bdi>{visible(name)}</bdi>
        {whole && <span className="soft"> (within {visible(whole)})</span>}
      </a>
      <span className={`points ${tone}`}>{points}</span>
      <IntervalBar scale={scale} at={gap} low={low} high={high} status={tone} />
      <span className="soft">{spread}</span>
      <span className="soft" title={believed} data-testid="belief">
        {belief}
      </span>
      <span className="soft">{size}</span>
      {example !== null && (
        <ItemLink row={example} className="quoted">
          {quote === null ? `item ${example}` : <bdi>“{visible(quote)}”</bdi>}
        </ItemLink>
      )}
    </li>
  );
}
