/** Where the keyboard's focus goes when the panel opens and closes. */

let byKey = false;
let back: (() => void) | null = null;

// Whoever opens with a key wants to read on with keys; a click leaves the focus where it is.
addEventListener(
  "keydown",
  (event) => {
    byKey = event.key === "Enter" || event.key === " ";
  },
  true,
);
addEventListener(
  "pointerdown",
  () => {
    byKey = false;
  },
  true,
);

/** Says how to return to the place from which the panel is about to be opened, where its element may be drawn anew. */
export function openedFrom(way: () => void): void {
  back = way;
}

/** Moves the focus into the panel if a key opened it, and remembers where it came from. */
export function enter(panel: HTMLElement | null): void {
  if (!panel || !byKey) return;
  byKey = false;
  const from = document.activeElement;
  // From one concept to the next inside the panel: the way out stays.
  if (back === null && from instanceof HTMLElement && from !== document.body && !panel.contains(from))
    back = () => from.focus();
  panel.focus({ preventScroll: true });
}

/** Returns to where the panel was opened from, if the focus was in it. */
export function leave(panel: HTMLElement | null): void {
  const way = back;
  back = null;
  const focused = document.activeElement;
  if (!way || !panel || (focused !== document.body && !panel.contains(focused))) return;
  // In a narrow window what is behind the panel is drawn first.
  requestAnimationFrame(() => requestAnimationFrame(way));
}
