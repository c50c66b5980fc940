import { plural } from "../format";
import { visible } from "../text";
import { ConceptLink } from "../ui/Marks";
import { newest, type Probe, TONES } from "./fresh";

/**
 * Outcomes of `cgaps probe`: the newest of each claim, earlier ones folded away. `named`: with the name of
 * each concept.
 */
export function Probes({ probes, named }: { probes: Probe[]; named: boolean }) {
  const { last, earlier } = newest(probes);
  return (
    <>
      <Outcomes probes={last} named={named} />
      {earlier.length > 0 && (
        <details className="others">
          <summary>{plural(earlier.length, "earlier probe")}</summary>
          <Outcomes probes={earlier} named={named} />
        </details>
      )}
    </>
  );
}

function Outcomes({ probes, named }: { probes: Probe[]; named: boolean }) {
  return (
    <ul className="verdicts" data-testid="probes">
      {probes.map((probe, i) => (
        <li key={i} className={TONES[probe.verdict] ?? "open"}>
          <span className="said">{visible(probe.verdict)}</span>
          <span>
            {named && (
              <>
                <ConceptLink concept={probe.concept} label={probe.label} limit={60} />
                <br />
              </>
            )}
            {visible(probe.sentence)}
          </span>
        </li>
      ))}
    </ul>
  );
}
