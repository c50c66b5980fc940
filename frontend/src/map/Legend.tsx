import { integer } from "../format";
import { Hint } from "../ui/Hint";
import { type Legend, legendText } from "./colouring";

/** What colours and sizes mean, with counts. `hint`: what the quantity is; `term`: where the glossary says it. */
export function LegendBox({ legend, hint, term }: { legend: Legend; hint: string | null; term: string | null }) {
  return (
    <div className="legend" data-testid="map-legend" role="group" aria-label={legendText(legend)}>
      <div className="legend-title">
        {hint === null ? (
          legend.title
        ) : (
          <Hint hint={hint} term={term}>
            {legend.title}
          </Hint>
        )}
      </div>
      {legend.kind === "ramp" ? <Ramp legend={legend} /> : <Entries entries={legend.entries} />}
      {legend.kind === "ramp" && <Entries entries={legend.others} />}
      {legend.note && <div className="soft">{legend.note}</div>}
    </div>
  );
}

function Ramp({ legend }: { legend: Extract<Legend, { kind: "ramp" }> }) {
  return (
    <div className="legend-scale">
      <div className="legend-ramp" style={{ background: `linear-gradient(to right, ${legend.stops.join(", ")})` }} />
      <div className="legend-ticks">
        {legend.ticks.map(({ at, text }) => (
          <span key={at} style={{ left: `${100 * at}%` }}>
            {text}
          </span>
        ))}
      </div>
    </div>
  );
}

function Entries({ entries }: { entries: { name: string; colour: string; count: number }[] }) {
  if (entries.length === 0) return null;
  return (
    <ul className="legend-entries">
      {entries.map(({ name, colour, count }) => (
        <li key={name}>
          <span className="legend-dot" style={{ background: colour }} />
          <span className="legend-name">{name}</span>
          <span className="soft">{integer(count)}</span>
        </li>
      ))}
    </ul>
  );
}
