/** Whose Escape it is: an open list or popover takes it first. */

/** What Mantine marks as open: a picker's field, and the button of a popover; and the glossary. */
const OPEN = "[aria-haspopup][data-expanded], [aria-haspopup][aria-expanded=true], dialog[open]";

/** Calls when Escape is pressed and nothing else on the page took it; returned is what ends that. */
export function onFreeEscape(call: () => void): () => void {
  let taken = false;
  // What is open closes itself before the key gets here, so one looks when the key is on its way down.
  const before = (event: KeyboardEvent) => {
    taken = event.isComposing || document.querySelector(OPEN) !== null;
  };
  const after = (event: KeyboardEvent) => {
    if (event.key === "Escape" && !event.defaultPrevented && !taken) call();
  };
  addEventListener("keydown", before, true);
  addEventListener("keydown", after);
  return () => {
    removeEventListener("keydown", before, true);
    removeEventListener("keydown", after);
  };
}
