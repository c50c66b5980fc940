import type { ConceptDetail } from "../data/types";
import { ActiveText } from "../ui/Tokens";

/** Windows of the dictionary's texts in which it is strongest. */
export function Exemplars({ detail }: { detail: ConceptDetail }) {
  if (!detail.exemplars?.length) return null;
  const most = Math.max(...detail.exemplars.flatMap((one) => one.activations));
  return (
    <details className="exemplars">
      <summary>Texts that it fires on, from its dictionary</summary>
      {detail.exemplars.map((one, i) => {
        const peak = one.activations.indexOf(Math.max(...one.activations));
        const shown = one.tokens.map((text, place) => {
          const activation = one.activations[place]!;
          return { text, activation: activation > 0 ? activation : null, peak: place === peak && activation > 0 };
        });
        return (
          <p key={i} className="quote prompt" dir="auto">
            … <ActiveText pieces={shown} most={most} /> …
          </p>
        );
      })}
    </details>
  );
}
