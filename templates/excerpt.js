"use strict";

// What people read of an item that has no picture: a text, the cells of a row, or the item's name.
function Excerpt(data) {
  const { h, shown, readable } = Dom;
  const GLANCE = 320; // characters of a text beside others, as auditor/report/pictures.py has them
  const CELLS = 8; // cells of a row beside others
  const LINE = 90; // characters in the list

  const text = (row) => data.excerpts[row] ?? "";
  const short = (value, limit) => (value.length <= limit ? value : `${value.slice(0, limit).trimEnd()}…`);
  const lines = (row) => readable(text(row)).split("\n").filter((entry) => entry.trim());

  // A line is `name: value`.
  function pair(entry) {
    const at = entry.indexOf(": ");
    return at < 0 ? ["", entry] : [entry.slice(0, at), entry.slice(at + 2)];
  }

  function cells(row, whole) {
    const all = lines(row);
    const some = whole ? all : all.slice(0, CELLS);
    const entries = some.map(pair).map(([name, value]) =>
      h("div", {}, h("dt", {}, h("bdi", {}, name)), h("dd", { dir: "auto" }, whole ? value : short(value, GLANCE / 4))));
    if (some.length < all.length) entries.push(h("div", {}, h("dt", {}), h("dd", {}, "…")));
    return h("dl", { class: "excerpt cells" }, entries);
  }

  // The item as an element: all that is known of it where it is judged, its beginning where it stands beside others.
  function element(row, path, whole = false) {
    if (!text(row)) return h("p", { class: "item-name" }, h("bdi", {}, shown(path)));
    if (data.noun.kind === "table") return cells(row, whole);
    return h("div", { class: "excerpt", dir: "auto" }, whole ? readable(text(row)) : short(readable(text(row)).trim(), GLANCE));
  }

  // One line for the list.
  function line(row, path) {
    if (!text(row)) return shown(path);
    return short(data.noun.kind === "table" ? lines(row).map((entry) => pair(entry)[1]).join(" · ") : readable(text(row)).trim().replace(/\s+/g, " "), LINE);
  }

  return { element, line, text };
}
