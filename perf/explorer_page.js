// Runs inside the page, before its own script: acts as a user does, and waits until the page shows the outcome.
(() => {
  const frame = () => new Promise(requestAnimationFrame);
  const one = (selector) => document.querySelector(selector);
  const grid = () => one("main section.grid");
  const input = () => one('main input[data-testid$="search"]');
  // A row that is still asked for has no text.
  const firstRow = () => [...document.querySelectorAll('main section.grid [row-index="0"]')].map((cell) => cell.innerText).join("|");
  // Until another view is there, the table of the one before is.
  const tables = { concepts: "concept-grid", items: "item-grid" };
  const ofView = () => grid()?.dataset.testid === (tables[viewOf(location.hash)] ?? grid()?.dataset.testid);
  const filled = () => grid() !== null && ofView() && (grid().dataset.rows === "0" || firstRow().replaceAll("|", "").trim() !== "");
  const state = () => (grid() ? `${grid().dataset.rows}/${firstRow()}` : "");

  /** Milliseconds from an act to the second frame after its outcome is there: what is drawn by then has been seen. */
  async function until(act, done) {
    const start = performance.now();
    act();
    do {
      await frame();
      if (performance.now() - start > 20000) throw new Error(`The page does not show the outcome: ${done}`);
    } while (!done());
    await frame();
    await frame();
    return performance.now() - start;
  }

  /** Whether the table shows something else. */
  function changed() {
    const before = state();
    return () => filled() && state() !== before;
  }

  const viewOf = (hash) => hash.split("/")[2]?.split("?")[0];
  const shows = {
    atlas: () => Number(one("main .scatter")?.dataset.points) > 0,
    // Its items and its benchmarks come last.
    concept: (id) => one('[data-testid="panel"] .eyebrow')?.innerText.trim().split(/\s+/)[1] === id
      && one('[data-testid="panel"] [data-testid="concept-benchmarks"]') !== null
      && one('[data-testid="panel"] .state') === null,
  };

  let gaps = [];
  let recording = false;
  window.cgapsMeasure = {
    firstView: until(() => undefined, () => one('[data-testid="findings"] li')).then(() => performance.now()),
    firstTable: () => until(() => undefined, filled).then(() => performance.now()),
    go(hash) {
      const concept = /[?&]concept=(\d+)/.exec(hash)?.[1];
      const view = viewOf(hash);
      const done = concept ? () => shows.concept(concept) : (shows[view] ?? (viewOf(location.hash) === view ? changed() : filled));
      return until(() => { location.hash = hash; }, done);
    },
    columns: () => [...document.querySelectorAll("main section.grid .ag-header-cell-sortable[col-id]")]
      .map((cell) => cell.getAttribute("col-id")),
    /** Clicks a header; null where the first row stays the same. */
    async sort(column) {
      const label = one(`main section.grid .ag-header-cell[col-id="${CSS.escape(column)}"] .ag-header-cell-label`);
      const differs = changed();
      let frames = 0;
      const passed = await until(() => label.click(), () => differs() || ++frames > 60);
      return frames > 60 ? null : passed;
    },
    search(text) {
      const write = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;
      return until(() => {
        write.call(input(), text);
        input().dispatchEvent(new Event("input", { bubbles: true }));
      }, changed());
    },
    async startFrames() {
      gaps = [];
      recording = true;
      let last = await frame();
      const tick = (now) => {
        gaps.push(now - last);
        last = now;
        if (recording) requestAnimationFrame(tick);
      };
      requestAnimationFrame(tick);
    },
    stopFrames() {
      recording = false;
      return gaps;
    },
  };
})();
