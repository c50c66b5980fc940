import { expect, it } from "vitest";
import { body, newest, type Probe } from "./fresh";

const probe = (concept: number, claim: string, verdict: string): Probe => ({
  concept,
  claim,
  verdict,
  label: null,
  sentence: "",
});

it("of each claim the newest counts", () => {
  const probes = [
    probe(1, "weak", "holds"),
    probe(2, "weak", "reversed"),
    probe(1, "weak", "not shown"),
    probe(1, "strong", "holds"),
  ];
  expect(newest(probes)).toEqual({ last: [probes[0], probes[1], probes[3]], earlier: [probes[2]] });
});

it.each([
  [
    "Concept 5 (a: the weakness holds. No), typical in the run: the weakness holds. 30 fresh items score 0.42.",
    "The weakness holds. 30 fresh items score 0.42.",
  ],
  [
    "Concept 5: fresh items show the opposite of the strength. More.",
    "Fresh items show the opposite of the strength. More.",
  ],
  ["Concept 5 (x): too few fresh items to say whether.", "Too few fresh items to say whether."],
  ["another wording", "Another wording"],
])("%j loses the name", (sentence, expected) => expect(body(sentence)).toBe(expected));
