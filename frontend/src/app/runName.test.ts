import { expect, it } from "vitest";
import { runName } from "./runName";

it("has the key where titles are the same", () => {
  const runs = [
    { key: "a", title: "one" },
    { key: "b", title: "two" },
    { key: "c", title: "two" },
    { key: "d", title: "\u202ex" },
  ];
  expect(runs.map(({ key }) => runName(key, runs))).toEqual(["one", "two (b)", "two (c)", "<U+202E>x"]);
  expect(runName("e", runs)).toBe("e");
});
