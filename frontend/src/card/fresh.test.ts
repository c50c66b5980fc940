import { expect, it } from "vitest";
import { newest, type Probe } from "./fresh";

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
