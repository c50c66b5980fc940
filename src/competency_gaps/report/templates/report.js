(() => {
  "use strict";
  const root = document.documentElement;
  const remembered = (value) => {
    // A page opened from a file may have no storage.
    try { return value ? localStorage.setItem("cgaps-theme", value) : localStorage.getItem("cgaps-theme"); } catch { return null; }
  };
  const saved = remembered();
  if (saved === "light" || saved === "dark") root.dataset.theme = saved;
  document.getElementById("theme").addEventListener("click", () => {
    const now = root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    remembered(root.dataset.theme);
  });

  const close = (row) => {
    const next = row.nextElementSibling;
    if (next && next.classList.contains("opened")) next.remove();
    row.querySelector("a").setAttribute("aria-expanded", "false");
  };
  const open = (row) => {
    const detail = document.getElementById("concept-" + row.dataset.concept);
    if (!detail) return;
    const line = document.createElement("tr");
    line.className = "opened";
    const cell = line.insertCell();
    cell.colSpan = row.cells.length;
    cell.append(detail.querySelector(".body").cloneNode(true));
    row.after(line);
    row.querySelector("a").setAttribute("aria-expanded", "true");
  };
  for (const row of document.querySelectorAll("tr[data-concept]")) {
    row.addEventListener("click", (event) => {
      if (event.target.closest("a")) event.preventDefault();
      else if (String(getSelection())) return;
      row.querySelector("a").getAttribute("aria-expanded") === "true" ? close(row) : open(row);
    });
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, index) => head.firstElementChild.addEventListener("click", () => {
      const body = table.tBodies[0];
      for (const row of [...body.rows]) if (row.dataset.concept) close(row);
      const numeric = head.classList.contains("num");
      const up = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") === "descending" : !numeric;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const key = (row) => numeric ? row.cells[index].dataset.v : row.cells[index].textContent.trim();
      body.append(...[...body.rows].sort((a, b) => {
        const x = key(a), y = key(b);
        // What is not defined stays at the end, whichever way the rest is sorted.
        if (x === "" || y === "") return (x === "") - (y === "");
        return (numeric ? x - y : x.localeCompare(y)) * (up ? 1 : -1);
      }));
    }));
  }

  const reveal = () => {
    const target = /^#(concept|finding)-\d+$/.test(location.hash) && document.getElementById(location.hash.slice(1));
    if (target) { target.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", reveal);
  reveal();
})();
