import { expect, it } from "vitest";
import { symbols } from "./symbols";

it.each([
  ["chi_model moves by 0.046, chi_bench by 0.012.", "χ\u00a0model moves by 0.046, χ\u00a0bench by 0.012."],
  [
    "changes by -0.0036 (random items -0.0025 to +0.0026) [-0.1]",
    "changes by −0.0036 (random items −0.0025 to +0.0026) [−0.1]",
  ],
  ["held-out items of gpt-4, chi_models, 3-4", "held-out items of gpt-4, chi_models, 3-4"],
])("%s", (text, shown) => expect(symbols(text)).toBe(shown));
