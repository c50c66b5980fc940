import { roomy, type Box, type Name } from "./names";
import { screenX, screenY } from "./points";
import type { Picture } from "./stage";

const HEIGHT = 18;
const LETTER = 7;
const MOST = 40;

/** The names that have room at this zoom, with a halo so that they can be read over points. */
export function ThemeNames({ picture: { frame, view }, names }: { picture: Picture; names: Name[] }) {
  const boxes: Box[] = [];
  const seen: Name[] = [];
  for (const name of names) {
    const x = screenX(frame, view, name.x);
    const y = screenY(frame, view, name.y);
    if (x < 0 || y < 0 || x > frame.width || y > frame.height) continue;
    const width = LETTER * name.text.length + 10;
    // At the edge a name is moved in, so that it is whole.
    const inside = Math.max(width / 2 + 4, Math.min(frame.width - width / 2 - 4, x));
    boxes.push({ x: inside, y, width, height: HEIGHT });
    seen.push(name);
  }
  // Each is a layer of its own, which the browser moves without drawing its letters again.
  return (
    <div className="scatter-over theme-names" aria-hidden="true">
      {roomy(boxes, MOST).map((i) => {
        const { x, y } = boxes[i]!;
        return <span key={seen[i]!.id} style={{ transform: `translate(${Math.round(x)}px, ${Math.round(y)}px) translate(-50%, -50%)` }}>{seen[i]!.text}</span>;
      })}
    </div>
  );
}
