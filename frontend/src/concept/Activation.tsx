import { useMemo } from "react";
import type { ConceptDetail } from "../data/types";
import { integer, magnitude, meanScore } from "../format";
import { Chart, Plot } from "../ui/Plot";

/** How strongly it is active in its items, and how the model scores at each strength. */
export function Activation({ detail }: { detail: ConceptDetail }) {
  const { max, counts } = detail.histogram;
  const options = useMemo<Plot.PlotOptions>(() => {
    const { max, counts, score } = detail.histogram;
    const width = max / Math.max(1, counts.length);
    const most = Math.max(1, ...counts);
    // The line has the scale of the counts, and a gap where no item is scored.
    const bins = counts.map((count, i) => ({
      low: i * width,
      middle: (i + 0.5) * width,
      high: (i + 1) * width,
      count,
      line: score[i] == null || count === 0 ? NaN : score[i] * most,
    }));
    const scored = bins.filter((bin) => !Number.isNaN(bin.line));
    return {
      marginLeft: 44,
      marginRight: 44,
      marginBottom: 36,
      x: { label: "Concept activation score (CAS) →", tickFormat: (tick: number) => magnitude(tick) },
      y: { label: "↑ Items", ticks: 4 },
      marks: [
        Plot.rect(bins, {
          x1: "low",
          x2: "high",
          y1: 0,
          y2: "count",
          fill: "var(--accent)",
          fillOpacity: 0.55,
          inset: 0.5,
        }),
        Plot.lineY(bins, { x: "middle", y: "line", stroke: "var(--weak)", strokeWidth: 1.5, curve: "linear" }),
        Plot.dot(scored, { x: "middle", y: "line", fill: "var(--weak)", r: 2.6 }),
        Plot.axisY(
          [0, 0.5, 1].map((share) => share * most),
          {
            anchor: "right",
            label: "Mean score",
            color: "var(--weak)",
            tickFormat: (tick: number) => meanScore(tick / most),
          },
        ),
        Plot.axisY({ anchor: "left", ticks: 4 }),
        Plot.ruleY([0], { stroke: "var(--faint)" }),
      ],
    };
  }, [detail.histogram]);
  if (max === 0) return null;
  const items = counts.reduce((sum, count) => sum + count, 0);
  return (
    <section>
      <h3>Activation and score</h3>
      <p className="soft">
        Bars: {integer(items)} items by how strongly the concept is active. Line: mean score, with gaps where no item is
        scored.
      </p>
      <Chart
        options={options}
        height={190}
        label={`Histogram of the concept's activation in ${items} items, with the mean score of each bin.`}
      />
    </section>
  );
}
