import { describe, expect, it } from "vitest";
import type { ListedRun, Matrix, MatrixCell } from "../data/types";
import { cellWords, columnParams, columnTitle, columnWords, madeRun, makeCommand, profileOf, reachOf } from "./matrix";

const cell = (gap: number | null, status: MatrixCell["status"] = "typical"): MatrixCell => ({
  mean: 0.5,
  gap,
  gap_low: gap === null ? null : gap - 0.05,
  gap_high: gap === null ? null : gap + 0.05,
  q_value: gap === null ? null : 0.01,
  n_eff: 30,
  status,
});
const matrix: Matrix = {
  kind: "score",
  models: [1, 0],
  columns: [
    { id: 2, name: "law", concepts: 0 },
    { id: 0, name: "sums", concepts: 0 },
    { id: 1, name: null, concepts: 0 },
  ],
  cells: [
    [cell(0.1), cell(null, "insufficient"), cell(-0.2, "weak")],
    [cell(0.01), cell(0.02), cell(0.03)],
  ],
};

describe("models against themes", () => {
  it("give a model's themes by gap, those that were not tested last", () => {
    expect(profileOf(matrix, 1)!.map(({ column, cell }) => [column.id, cell.gap])).toEqual([
      [1, -0.2],
      [2, 0.1],
      [0, null],
    ]);
    expect(profileOf({ ...matrix, models: [1] }, 0)).toBeNull();
  });
  it("have a scale that most gaps lie within, never of less than five points", () => {
    expect(reachOf(matrix)).toBeCloseTo(0.1);
    expect(reachOf({ ...matrix, cells: [[cell(0.001)]] })).toBe(0.05);
    expect(reachOf({ ...matrix, cells: [] })).toBe(0.05);
  });
  it("say of each cell its interval, its q and its sample", () => {
    expect(cellWords(["big", "law"], cell(-0.2, "weak"))).toBe(
      "big, law: gap −20.0 points [−25.0, −15.0], q 0.010, n_eff 30.0, weak",
    );
    expect(cellWords(["big", "law"], cell(null, "insufficient"))).toContain("not tested, too few items");
  });
  it("name a theme, or a group by the concept that leads it, and lead to it", () => {
    const group = { id: 7, name: null, concepts: 3 };
    expect(columnWords(matrix.columns[2]!)).toBe("theme 1");
    expect(columnTitle(matrix.columns[0]!)).toBe("law");
    expect(columnWords(group)).toBe("concept 7");
    expect(columnTitle({ ...group, name: "algebra" })).toBe("algebra, and 2 concepts that share its items");
    expect(columnParams(group)).toEqual({ concept: 7 });
    expect(columnParams(matrix.columns[0]!)).toEqual({ theme: 2 });
  });
  it("lead to the run that shows the model in the same way, if it was made", () => {
    const listed = (key: string, model: string, kind: "score" | "peers") =>
      ({ key, models: "a", scored: { model, kind } }) as ListedRun;
    const runs = [listed("a", "lens", "score"), listed("a-peers-big", "big", "peers")];
    expect(madeRun("big", "peers", "a", runs)?.key).toBe("a-peers-big");
    expect(madeRun("lens", "score", "a-peers-big", runs)?.key).toBe("a");
    expect(madeRun("big", "score", "a", runs)).toBeNull();
    expect(makeCommand("cgaps show r --model big", "peers")).toBe("cgaps show r --model big --against peers");
    expect(makeCommand("cgaps show r --model big", "score")).toBe("cgaps show r --model big");
  });
});
