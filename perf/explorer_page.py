"""What ``explorer.py`` runs inside the page: acts as a user does, and waits until the page shows the outcome."""

from __future__ import annotations

from typing import NamedTuple


class Timed(NamedTuple):
    """Some measurements of one thing."""

    what: str
    seconds: list[float]
    target: float


FIRST_VIEW = """
window.cgapsFirstView = new Promise((done) => {
  const look = () => {
    if (!document.querySelector('[data-testid="findings"] li')) return requestAnimationFrame(look);
    requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())));
  };
  requestAnimationFrame(look);
});
"""

MEASURE = """
() => {
  const frame = () => new Promise(requestAnimationFrame);
  const grid = () => document.querySelector('main section.grid');
  // A row that is still asked for has no text.
  const shown = () => [...document.querySelectorAll('main section.grid [row-index="0"]')].map((one) => one.innerText).join('|');
  const filled = () => grid() && (grid().dataset.rows === '0' || shown().replaceAll('|', '').trim() !== '');
  const state = () => (grid() ? grid().dataset.rows + '/' + shown() : '');
  const panel = () => document.querySelector('[data-testid="panel"]');
  async function until(act, done) {
    const start = performance.now();
    act();
    for (;;) {
      await frame();
      if (done()) break;
      if (performance.now() - start > 20000) throw new Error('The page does not show the outcome: ' + done);
    }
    await frame();
    await frame();
    return performance.now() - start;
  }
  // What a user cannot tell from an unchanged page (a filter that changes nothing) ends after three frames.
  function changed() {
    const before = state();
    let quiet = 0;
    return () => filled() && (state() !== before || ++quiet > 3);
  }
  let frames = [];
  let recording = false;
  window.cgapsMeasure = {
    go: (hash) => {
      const view = hash.split('/')[2].split('?')[0];
      const concept = /concept=(\\d+)/.exec(hash);
      const same = location.hash.split('/')[2]?.split('?')[0] === view;
      const showsView = view === 'map' ? () => document.querySelector('[data-testid="map"] canvas, .scatter canvas') : same ? changed() : filled;
      const showsPanel = () => panel()?.dataset.concept === concept[1] || panel()?.querySelector('h2')?.innerText.includes(concept[1]);
      return until(() => { location.hash = hash; }, concept ? showsPanel : showsView);
    },
    columns: () => [...document.querySelectorAll('main section.grid .ag-header-cell[col-id]')]
      .filter((one) => one.querySelector('.ag-header-cell-label') && one.classList.contains('ag-header-cell-sortable'))
      .map((one) => one.getAttribute('col-id')),
    sort: (column) => {
      const header = document.querySelector(`main section.grid .ag-header-cell[col-id="${CSS.escape(column)}"] .ag-header-cell-label`);
      return until(() => header.click(), changed());
    },
    search: (text) => {
      const input = document.querySelector('main input[data-testid$="search"]');
      const write = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;
      return until(() => {
        write.call(input, text);
        input.dispatchEvent(new Event('input', { bubbles: true }));
      }, changed());
    },
    startFrames: () => {
      frames = [];
      recording = true;
      let last = performance.now();
      const tick = (now) => {
        frames.push(now - last);
        last = now;
        if (recording) requestAnimationFrame(tick);
      };
      requestAnimationFrame(tick);
    },
    stopFrames: () => {
      recording = false;
      return frames.slice(1);
    },
  };
}
"""
