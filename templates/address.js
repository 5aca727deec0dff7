"use strict";

// What the review shows, in the page's address: a link leads there again, and so does a reload. An address of a part of
// the page has no "=" and is left alone.
function Address(page) {
  const { data, table, queue } = page;
  const PAUSE = 250; // milliseconds: browsers refuse too many changes
  const CLASSES = ["label", "suggested"]; // they have their names in the address, so that it stays true
  let timer = null;

  function read() {
    const hash = window.location.hash.slice(1);
    return hash.includes("=") ? Object.fromEntries(new URLSearchParams(hash)) : null;
  }

  // The sample's address names no path: it may tell the label.
  function now() {
    if (queue.sampling()) return { queue: "sample" };
    const changed = Object.entries(queue.filters).filter(([name, value]) => value !== queue.ANY[name]);
    const chosen = changed.map(([name, value]) => [name, CLASSES.includes(name) ? data.classes[Number(value)] : value]);
    return { ...Object.fromEntries(chosen), open: queue.moved && queue.open() !== null ? table.path(queue.open()) : "" };
  }

  function write() {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const wanted = new URLSearchParams(Object.entries(now()).filter(([, value]) => value !== "")).toString();
      if (wanted === window.location.hash.slice(1) || (!wanted && !read())) return;
      try {
        window.history.replaceState(null, "", `#${wanted}`);
      } catch {
        // the browser refuses, and the page works without
      }
    }, PAUSE);
  }

  // What an address says may be anything: what nobody can choose here is left out.
  function go(wanted) {
    const name = wanted.queue === "sample" && table.sample.length ? "sample" : "rank";
    if (name !== queue.name) page.changeQueue(name);
    const found = { ...queue.ANY };
    for (const field of Object.keys(queue.ANY)) {
      if (wanted[field] === undefined) continue;
      const value = CLASSES.includes(field) ? String(data.classes.indexOf(wanted[field])) : wanted[field];
      if (page.filters.knows(field, value)) found[field] = value;
    }
    if (!queue.sampling()) page.filterBy(found, true);
    const row = table.find(wanted.open);
    const at = row === undefined ? -1 : queue.items.indexOf(row);
    if (at >= 0 && !queue.sampling()) page.show(at);
    document.getElementById("review").scrollIntoView();
  }

  function follow() {
    const wanted = read();
    if (wanted) go(wanted);
  }

  window.addEventListener("hashchange", follow);
  return { write, follow };
}
