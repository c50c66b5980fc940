import { type Box, lines, type Name, roomy } from "./names";
import { screenX, screenY } from "./points";
import type { Picture } from "./stage";

/** Of a line, and of a letter, with room for the widest ones. */
const [HEIGHT, LETTER] = [15, 7];
const MARGIN = 4;
const MOST = 40;

/** The names that have room at this zoom, whole, with a halo so that they can be read over points. */
export function ThemeNames({ picture: { frame, view }, names }: { picture: Picture; names: Name[] }) {
  const boxes: Box[] = [];
  const seen: { id: number; rows: string[] }[] = [];
  for (const name of names) {
    const x = screenX(frame, view, name.x);
    const y = screenY(frame, view, name.y);
    if (x < 0 || y < 0 || x > frame.width || y > frame.height) continue;
    const rows = lines(name.text);
    const width = LETTER * Math.max(...rows.map((row) => row.length)) + 10;
    const height = HEIGHT * rows.length + 6;
    // At the edge a name is moved in, so that it is whole.
    const inside = (at: number, size: number, room: number) =>
      Math.max(size / 2 + MARGIN, Math.min(room - size / 2 - MARGIN, at));
    boxes.push({ x: inside(x, width, frame.width), y: inside(y, height, frame.height), width, height });
    seen.push({ id: name.id, rows });
  }
  // Each is a layer of its own, which the browser moves without drawing its letters again.
  return (
    <div className="scatter-over theme-names" aria-hidden="true">
      {roomy(boxes, MOST).map((i) => {
        const { x, y } = boxes[i]!;
        return (
          <span
            key={seen[i]!.id}
            style={{ transform: `translate(${Math.round(x)}px, ${Math.round(y)}px) translate(-50%, -50%)` }}
          >
            {seen[i]!.rows.map((row, line) => (
              <span key={line}>{row}</span>
            ))}
          </span>
        );
      })}
    </div>
  );
}
