import { expect, test } from "vitest";
import { readSort, writeSort } from "./sort";

const KNOWN = ["gap", "chi_model@3"];

test("an order is read as it is written", () => {
  for (const word of ["gap", "-gap", "chi_model@3"]) expect(writeSort(readSort(word, KNOWN))).toBe(word);
  expect(readSort(null, KNOWN)).toBeNull();
});

test.each(["__proto__", "toString", "-constructor", "", "-", "--gap", "gap@0"])(
  "%s is no column to sort by",
  (word) => {
    expect(readSort(word, KNOWN)).toBeNull();
  },
);
