import type { ConceptDetail } from "../data/types";
import { integer, magnitude, meanScore } from "../format";

/** Of the picture, in its own units: bars between these heights, with room for words around them. */
const [WIDTH, TOP, BOTTOM, LEFT, RIGHT] = [520, 14, 150, 44, 476];

/** How strongly it is active in its items, and how the model scores at each strength. */
export function Activation({ detail }: { detail: ConceptDetail }) {
  const { max, counts, score } = detail.histogram;
  if (max === 0) return null;
  const items = counts.reduce((sum, count) => sum + count, 0);
  const most = Math.max(1, ...counts);
  const step = (RIGHT - LEFT) / counts.length;
  const height = (share: number) => (BOTTOM - TOP) * share;
  const word = (x: number, y: number, text: string, anchor: "start" | "end", className = "") => (
    <text key={`${x} ${y}`} x={x} y={y} textAnchor={anchor} className={className}>
      {text}
    </text>
  );
  return (
    <section>
      <h3>Activation and score</h3>
      <p className="soft">
        Bars: {integer(items)} items by how strongly the concept is active (CAS). Dots: mean score of the scored items.
      </p>
      <svg
        className="histogram"
        viewBox={`0 0 ${WIDTH} 172`}
        role="img"
        aria-label={`Histogram of the concept's activation in ${items} items, with the mean score of each bin.`}
      >
        {counts.map((count, i) => {
          const [x, tall, mean] = [LEFT + i * step, height(count / most), score[i]];
          return (
            <g key={i}>
              <rect x={x + 0.5} y={BOTTOM - tall} width={step - 1} height={tall} />
              {mean != null && count > 0 && <circle cx={x + step / 2} cy={BOTTOM - height(mean)} r={3} />}
            </g>
          );
        })}
        {word(LEFT - 6, TOP + 4, integer(most), "end")}
        {word(LEFT - 6, BOTTOM, "0", "end")}
        {[0, 0.5, 1].map((mean) => word(RIGHT + 6, BOTTOM - height(mean) + 4, meanScore(mean), "start", "weak"))}
        {word(LEFT, BOTTOM + 16, "0", "start")}
        {word(RIGHT, BOTTOM + 16, `CAS ${magnitude(max)}`, "end")}
      </svg>
    </section>
  );
}
