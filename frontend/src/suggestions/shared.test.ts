import { expect, it } from "vitest";
import { shared } from "./shared";

it("what all say is said once", () => {
  const texts = [
    "A lacks 3 concepts. This goes by themes. Ask again.",
    "B lacks 1.5 of 2. This goes by themes. Ask again.",
    "This goes by themes. C has none. Ask again.",
  ];
  expect(shared(texts)).toEqual({
    common: "This goes by themes. Ask again.",
    rest: ["A lacks 3 concepts.", "B lacks 1.5 of 2.", "C has none."],
  });
});

it("one text, or none, stays as it is", () => {
  expect(shared(["One. Two."])).toEqual({ common: "", rest: ["One. Two."] });
  expect(shared([])).toEqual({ common: "", rest: [] });
  expect(shared(["One. Two.", "Three."])).toEqual({ common: "", rest: ["One. Two.", "Three."] });
});
