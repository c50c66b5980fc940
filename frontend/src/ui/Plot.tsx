import { useElementSize } from "@mantine/hooks";
import * as Plot from "@observablehq/plot";
import { useEffect, useRef } from "react";

export { Plot };

/**
 * A chart of Observable Plot, as wide as its place. `label` describes it to screen readers.
 *
 * Plot adds a `<style>` element, which the page's security policy forbids: it is removed; `theme.css` has its rules.
 */
export function Chart({ options, label, height }: { options: Plot.PlotOptions; label: string; height?: number }) {
  const { ref: sizeRef, width } = useElementSize();
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!place.current || width < 40) return;
    const drawn = Plot.plot({ className: "plot", width, height, ...options, figure: false });
    for (const style of drawn.querySelectorAll("style")) style.remove();
    // Its parts are no elements that may be named, and the whole has a name.
    for (const part of drawn.querySelectorAll("[aria-label], [aria-description]")) {
      part.removeAttribute("aria-label");
      part.removeAttribute("aria-description");
    }
    drawn.setAttribute("role", "img");
    drawn.setAttribute("aria-label", label);
    place.current.replaceChildren(drawn);
    return () => drawn.remove();
  }, [options, width, height, label]);
  return (
    <div ref={sizeRef} className="chart">
      <div ref={place} />
    </div>
  );
}
