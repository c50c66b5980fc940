import { useMemo } from "react";
import type { ConceptDetail } from "../data/types";
import { decimal, integer, magnitude } from "../format";
import { Chart, Plot } from "../ui/Plot";

/** How strongly it is active in its items, and how the model scores at each strength. */
export function Activation({ detail }: { detail: ConceptDetail }) {
  const { max, counts, score } = detail.histogram;
  const options = useMemo<Plot.PlotOptions>(() => {
    const width = max / Math.max(1, counts.length);
    const bins = counts.map((count, i) => ({
      low: i * width,
      high: (i + 1) * width,
      middle: (i + 0.5) * width,
      count,
      score: score[i] ?? null,
    }));
    const most = Math.max(1, ...counts);
    const scored = bins.filter((bin) => bin.score !== null);
    return {
      marginLeft: 44,
      marginRight: 44,
      marginBottom: 36,
      x: { label: "Concept activation score (CAS) →", tickFormat: (tick: number) => magnitude(tick) },
      y: { label: "↑ Items", ticks: 4 },
      marks: [
        Plot.rect(bins, { x1: "low", x2: "high", y1: 0, y2: "count", fill: "var(--accent)", fillOpacity: 0.55, inset: 0.5 }),
        Plot.lineY(scored, {
          x: "middle",
          y: (bin: { score: number }) => bin.score * most,
          stroke: "var(--weak)",
          strokeWidth: 1.5,
          curve: "linear",
        }),
        Plot.dot(scored, { x: "middle", y: (bin: { score: number }) => bin.score * most, fill: "var(--weak)", r: 2.6 }),
        Plot.axisY(
          [0, 0.5, 1].map((share) => share * most),
          { anchor: "right", label: "Mean score", color: "var(--weak)", tickFormat: (tick: number) => decimal(tick / most, 1) },
        ),
        Plot.axisY({ anchor: "left", ticks: 4 }),
        Plot.ruleY([0], { stroke: "var(--faint)" }),
      ],
    };
  }, [max, counts, score]);
  if (max === 0) return null;
  const items = counts.reduce((sum, count) => sum + count, 0);
  return (
    <section>
      <h3>Activation and score</h3>
      <p className="soft">Bars: {integer(items)} items by how strongly the concept is active. Line: mean score of the scored ones.</p>
      <Chart
        options={options}
        height={190}
        label={`Histogram of the concept's activation in ${items} items, with the mean score of each bin.`}
      />
    </section>
  );
}
