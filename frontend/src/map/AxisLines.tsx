import { type Axis, ticks } from "./axes";
import { type Margin, planeX, planeY, screenX, screenY } from "./points";
import type { Picture } from "./stage";

/** Axes at the edges of a scatter plot, with faint lines at the ticks; they stay while the points move below them. */
export function AxisLines({
  picture: { frame, view },
  axes,
  diagonal,
  margin,
}: {
  picture: Picture;
  axes: { x: Axis; y: Axis };
  diagonal: boolean;
  margin: Margin;
}) {
  const right = frame.width - 1;
  const bottom = frame.height - margin.bottom;
  const { left } = margin;
  const x = [planeX(frame, view, left), planeX(frame, view, right)] as const;
  const y = [planeY(frame, view, bottom), planeY(frame, view, 0)] as const;
  const xTicks = ticks(axes.x, x[0], x[1], Math.max(2, frame.width / 110));
  const yTicks = ticks(axes.y, y[0], y[1], Math.max(2, frame.height / 70));
  const px = (at: number) => screenX(frame, view, at);
  const py = (at: number) => screenY(frame, view, at);
  const low = Math.max(x[0], y[0]);
  const high = Math.min(x[1], y[1]);
  return (
    <svg className="scatter-over axis-lines" aria-hidden="true">
      {xTicks.map(({ at }) => (
        <line key={at} className="grid-line" x1={px(at)} x2={px(at)} y1={0} y2={bottom} />
      ))}
      {yTicks.map(({ at }) => (
        <line key={at} className="grid-line" x1={left} x2={right} y1={py(at)} y2={py(at)} />
      ))}
      {diagonal && low < high && (
        <line className="neutral-line" x1={px(low)} y1={py(low)} x2={px(high)} y2={py(high)} />
      )}
      {axes.x.neutral !== undefined && (
        <line className="neutral-line" x1={px(axes.x.neutral)} x2={px(axes.x.neutral)} y1={0} y2={bottom} />
      )}
      {axes.y.neutral !== undefined && axes.y.neutral > y[0] && axes.y.neutral < y[1] && (
        <line className="neutral-line" x1={left} x2={right} y1={py(axes.y.neutral)} y2={py(axes.y.neutral)} />
      )}
      <rect className="axis-paper" x={0} y={0} width={left} height={frame.height} />
      <rect className="axis-paper" x={0} y={bottom} width={frame.width} height={margin.bottom} />
      {xTicks.map(
        ({ at, text }) =>
          px(at) > left + 8 &&
          px(at) < right - 12 && (
            <text key={at} x={px(at)} y={bottom + 17} textAnchor="middle">
              {text}
            </text>
          ),
      )}
      {yTicks.map(
        ({ at, text }) =>
          py(at) > 8 &&
          py(at) < bottom && (
            <text key={at} x={left - 8} y={py(at) + 4} textAnchor="end">
              {text}
            </text>
          ),
      )}
      <text className="axis-title" x={right} y={bottom + 38} textAnchor="end">
        {axes.x.title} →
      </text>
      <text className="axis-title" transform={`translate(14 ${margin.top - 6}) rotate(-90)`} textAnchor="end">
        {axes.y.title} →
      </text>
    </svg>
  );
}
