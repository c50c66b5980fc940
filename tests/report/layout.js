// Texts that lie off the page or beyond their box, are hidden behind a scroll bar, cut by a figure or overprinted.
() => {
  const faults = [];
  const name = (e) => e.tagName + "." + (e.getAttribute("class") || "") + ": " + (e.textContent || "").trim().slice(0, 50);
  const wide = document.documentElement.clientWidth;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.textContent.trim() || node.parentElement.closest("svg, script, title")) continue;
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    if (!box.width) continue;
    const scroller = node.parentElement.closest(".scroll, nav");
    if (!scroller && (box.left < -1 || box.right > wide + 9)) faults.push(["off the page", name(node.parentElement)]);
    let block = node.parentElement;
    while (block && getComputedStyle(block).display.startsWith("inline") && getComputedStyle(block).display === "inline") block = block.parentElement;
    const own = block.getBoundingClientRect();
    // Blanks at the end of a line hang over where white space is kept.
    const hang = getComputedStyle(block).whiteSpace.includes("pre") ? 9 : 2;
    if (box.right > own.right + hang || box.left < own.left - 2) faults.push(["beyond its box", name(block)]);
  }
  for (const box of document.querySelectorAll(".scroll")) {
    const printed = matchMedia("print").matches || wide >= 1400;
    if (box.scrollWidth > box.clientWidth + 1 && printed) faults.push(["hidden behind a scroll bar", name(box)]);
  }
  for (const figure of document.querySelectorAll("svg.figure")) {
    const frame = figure.getBoundingClientRect();
    if (!frame.width) continue;
    const texts = [...figure.querySelectorAll("text")].map((t) => [t, t.getBoundingClientRect()]);
    for (const [t, b] of texts)
      if (b.left < frame.left - 2 || b.right > frame.right + 2 || b.top < frame.top - 2 || b.bottom > frame.bottom + 2) faults.push(["cut by its figure", figure.getAttribute("aria-label").slice(0,30) + " " + name(t)]);
    for (let i = 0; i < texts.length; i++) for (let j = i + 1; j < texts.length; j++) {
      const [a, b] = [texts[i][1], texts[j][1]];
      const x = Math.min(a.right, b.right) - Math.max(a.left, b.left), y = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (x > 2 && y > 3) faults.push(["overprinted", figure.getAttribute("aria-label").slice(0,30) + " " + name(texts[i][0]) + " | " + name(texts[j][0])]);
    }
  }
  const boxes = [...document.querySelectorAll("td, th, .theme-line > span")].filter((e) => e.getBoundingClientRect().width);
  for (const e of boxes) if (e.scrollWidth > e.clientWidth + 2 && getComputedStyle(e).display !== "inline") faults.push(["wider than its cell", name(e)]);
  return faults.map((fault) => fault.join(": "));
}
