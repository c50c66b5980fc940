import { readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";

const MAX_CHARACTERS = 120;

/** Biome wraps code, but not comments and strings. */
it("has no line that is longer than the code's", () => {
  const files = [...readdirSync("src", { recursive: true, encoding: "utf8" }).map((name) => `src/${name}`)];
  const texts = [...files, "vite.config.ts", "public/index.html"].filter((name) => /\.(tsx?|css|html)$/.test(name));
  expect(texts.length).toBeGreaterThan(50);
  const long = texts.flatMap((name) =>
    readFileSync(name, "utf8")
      .split("\n")
      .flatMap((line, i) => (line.length > MAX_CHARACTERS ? [`${name}:${i + 1}`] : [])),
  );
  expect(long).toEqual([]);
});
