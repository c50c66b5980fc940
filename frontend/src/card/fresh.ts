/** What probes with fresh items say: the newest of each claim. */
import type { RunInfo } from "../data/types";

export type Probe = RunInfo["probes"][number];

/** How a verdict is shown. */
export const TONES: Record<string, "good" | "bad" | "open"> = {
  holds: "good",
  reversed: "bad",
  "not shown": "open",
  "too few items": "open",
};

/** The newest probe of each claim, and the earlier ones; `probes` are newest first. */
export function newest(probes: Probe[]): { last: Probe[]; earlier: Probe[] } {
  const seen = new Set<string>();
  const [last, earlier]: [Probe[], Probe[]] = [[], []];
  for (const probe of probes) {
    const claim = `${probe.concept} ${probe.claim}`;
    (seen.has(claim) ? earlier : last).push(probe);
    seen.add(claim);
  }
  return { last, earlier };
}
