import { describe, expect, it } from "vitest";
import { random } from "../random";
import { thinnedOut } from "./gl";
import { extent, fitted, type Points, planeX, planeY, screenX, screenY, spotOf, spotParam, WHOLE } from "./points";
import { within } from "./stage";

const MARGIN = { left: 60, right: 20, top: 10, bottom: 40 };

function drawn(count: number, backdrop = 0, crowd = 0): Points {
  const next = random(5);
  const made = () => Float32Array.from({ length: count }, () => 100 * next() - 30);
  return {
    count,
    backdrop,
    crowd,
    x: made(),
    y: made(),
    id: new Uint32Array(count),
    radius: new Float32Array(count),
    colour: new Uint8Array(4 * count),
  };
}

describe("the plane on the screen", () => {
  it("fills the screen within its margins, y upwards", () => {
    const points = drawn(300);
    const frame = fitted(extent(points), 800, 600, MARGIN, false);
    const xs = Array.from(points.x, (x) => screenX(frame, WHOLE, x));
    const ys = Array.from(points.y, (y) => screenY(frame, WHOLE, y));
    expect(Math.min(...xs)).toBeCloseTo(60, 3);
    expect(Math.max(...xs)).toBeCloseTo(780, 3);
    expect(Math.min(...ys)).toBeCloseTo(10, 3);
    expect(Math.max(...ys)).toBeCloseTo(560, 3);
    expect(screenY(frame, WHOLE, 10)).toBeLessThan(screenY(frame, WHOLE, 0));
  });

  it("is nowhere stretched by more than half where it has no axes, and stays inside", () => {
    const frame = fitted({ x: [0, 10], y: [0, 1] }, 800, 600, MARGIN, true);
    expect(-frame.sy / frame.sx).toBeCloseTo(1.5, 6);
    expect(screenX(frame, WHOLE, 0)).toBeCloseTo(60, 6);
    const tall = fitted({ x: [0, 1], y: [0, 10] }, 800, 600, MARGIN, true);
    expect(tall.sx / -tall.sy).toBeCloseTo(1.5, 6);
    expect(screenY(tall, WHOLE, 0)).toBeCloseTo(560, 6);
  });

  it("turns places of the screen back", () => {
    const frame = fitted({ x: [-3, 8], y: [2, 4] }, 640, 480, MARGIN, false);
    const view = { k: 3.7, x: -120, y: 55 };
    expect(planeX(frame, view, screenX(frame, view, 1.25))).toBeCloseTo(1.25, 9);
    expect(planeY(frame, view, screenY(frame, view, 3.5))).toBeCloseTo(3.5, 9);
  });

  it("has an extent for one point and for none", () => {
    const value = { ...drawn(1), x: Float32Array.of(4), y: Float32Array.of(-2) };
    expect(extent(value)).toEqual({ x: [3.5, 4.5], y: [-2.5, -1.5] });
    expect(extent(drawn(0))).toEqual({ x: [0, 1], y: [0, 1] });
  });
});

describe("a lasso", () => {
  it("holds the points that a walk around them says, without the backdrop", () => {
    const points = drawn(2000, 300);
    // A star, which is not convex, tested by the angle that its corners turn around a point.
    const star = Array.from({ length: 14 }, (_, i): [number, number] => {
      const reach = i % 2 ? 45 : 16;
      return [20 + reach * Math.cos((2 * Math.PI * i) / 14), 15 + reach * Math.sin((2 * Math.PI * i) / 14)];
    });
    const turned = (px: number, py: number) =>
      star.reduce((sum, [x, y], i) => {
        const [nx, ny] = star[(i + 1) % star.length]!;
        const step = Math.atan2(ny - py, nx - px) - Math.atan2(y - py, x - px);
        return sum + (step > Math.PI ? step - 2 * Math.PI : step < -Math.PI ? step + 2 * Math.PI : step);
      }, 0);
    const expected = Array.from({ length: 1700 }, (_, i) => 300 + i).filter(
      (i) => Math.abs(turned(points.x[i]!, points.y[i]!)) > Math.PI,
    );
    const results = within(star, points, (i) => [points.x[i]!, points.y[i]!]);
    expect(results).toEqual(expected);
    expect(results.length).toBeGreaterThan(100);
  });

  it("of two corners holds nothing", () => {
    expect(
      within(
        [
          [0, 0],
          [50, 50],
        ],
        drawn(500),
        () => [10, 10],
      ),
    ).toEqual([]);
  });
});

describe("a thinned picture", () => {
  it("keeps an even part of the crowd and all others", () => {
    const few = thinnedOut(drawn(100_000, 0, 99_000));
    expect(few.length).toBeLessThan(14_000);
    expect([...few.subarray(-1000)]).toEqual(Array.from({ length: 1000 }, (_, i) => 99_000 + i));
    const steps = few.subarray(0, -1000).map((value, i) => value - (i ? few[i - 1]! : -9));
    expect(new Set(steps)).toEqual(new Set([9]));
    expect(Math.max(...few.subarray(0, -1000))).toBeLessThan(99_000);
  });

  it("of few points is whole", () => {
    expect([...thinnedOut(drawn(500, 10, 400))]).toEqual(Array.from({ length: 500 }, (_, i) => i));
    expect(thinnedOut(drawn(0)).length).toBe(0);
  });
});

describe("a spot in the address", () => {
  it("is read as it was written", () => {
    expect(spotOf(spotParam({ x: -1.25, y: 300, k: 4 }))).toEqual({ x: -1.25, y: 300, k: 4 });
    expect(spotParam(null)).toBeNull();
  });
  it.each([null, "", "1,2", "1,2,0", "1,2,-3", "1,2,3,4", "a,2,3", "1,,3", "Infinity,1,1"])("%s is none", (param) => {
    expect(spotOf(param)).toBeNull();
  });
});
