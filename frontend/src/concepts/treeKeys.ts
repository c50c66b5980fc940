/** What the arrow keys do in the tree of themes. */
import type { Branch } from "./themes";

/** Where a key leads: to a row, and which theme it opens or closes. Null: the key is not the tree's. */
export function stepOf(
  key: string,
  rows: Branch[],
  at: number,
  opened: ReadonlySet<number>,
): { to: number; toggle?: number } | null {
  const here = rows[at];
  if (!here) return null;
  const { level, id, parent } = here.theme;
  const open = level === "theme" && opened.has(id);
  switch (key) {
    case "ArrowDown":
      return { to: Math.min(at + 1, rows.length - 1) };
    case "ArrowUp":
      return { to: Math.max(at - 1, 0) };
    case "Home":
      return { to: 0 };
    case "End":
      return { to: rows.length - 1 };
    case "ArrowRight":
      if (open) return { to: here.children.length ? at + 1 : at };
      return level === "theme" && here.children.length ? { to: at, toggle: id } : { to: at };
    case "ArrowLeft":
      if (level === "subtheme")
        return { to: rows.findIndex(({ theme }) => theme.level === "theme" && theme.id === parent) };
      return open ? { to: at, toggle: id } : { to: at };
    default:
      return null;
  }
}
