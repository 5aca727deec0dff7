"use strict";

// The part of the review that looks at all items at once: the map, the threshold of suspicion, and what a filter holds.
function Explore(page) {
  const { h, fill, about, signed } = Dom;
  const { data, table, noun } = page;
  const STEPS = 200;
  const known = Array.from({ length: table.count }, (_, row) => data.suspicion[row]).filter((value) => value !== null);
  const [low, high] = known.length ? [known.reduce((a, b) => Math.min(a, b)), known.reduce((a, b) => Math.max(a, b))] : [0, 0];
  const map = data.map ? PlaneMap({ ...page, glows, lasso: () => corners(page.queue.filters.lasso), select: (line) => change({ lasso: line.map((c) => c.map((v) => v.toFixed(3)).join(",")).join(";"), near: "" }), show: (row) => row !== null && showRow(row) }) : null;
  const slider = h("input", { type: "range", min: 0, max: STEPS, value: 0, id: "rv-threshold", oninput: () => change({ min: slider.value === "0" ? "" : valueOf(Number(slider.value)).toPrecision(4) }) });
  const said = h("output", { for: "rv-threshold" });
  const near = h("button", { type: "button", class: "quiet-button", onclick: () => change({ near: table.path(page.queue.open()), lasso: "" }) }, "List the 50 nearest to the open one");
  const all = h("button", { type: "button", class: "quiet-button", onclick: () => change({ near: "", lasso: "" }) }, "List the whole map");
  const element = h("details", { class: "rv-explore", ontoggle: draw },
    h("summary", {}, map ? "Map and threshold" : "Threshold"),
    h("div", { class: "rv-explore-body" }, map?.element,
      h("div", { class: "rv-explore-side" },
        h("label", { for: "rv-threshold" }, "Suspicion at least"), slider, said,
        map ? h("p", { class: "legend" }, h("span", { class: "key glow" }, "probably wrong, or above the threshold"), h("span", { class: "key clean dot" }, "labelled like the open one"), h("span", { class: "key series dot" }, "labelled as suggested for it")) : null,
        map ? h("p", { class: "quiet" }, `${noun.many[0].toUpperCase()}${noun.many.slice(1)} that look alike to the model lie close together, as far as a flat map can show it. Draw around some to list them. Choose one to open it.`) : null,
        map ? h("div", { class: "rv-tools" }, near, all) : null)));
  let close = { path: "", rows: new Set() };

  const change = (some) => page.filterBy({ ...page.queue.filters, ...some });
  const valueOf = (step) => low + ((high - low) * step) / STEPS;

  function corners(text) {
    return text.split(";").map((pair) => pair.split(",").map(Number)).filter((pair) => pair.length === 2 && pair.every(Number.isFinite));
  }

  // With a threshold all above it glow. Without one, those that are more likely wrong than right.
  function glows(row) {
    const { min } = page.queue.filters;
    if (min !== "") return (data.suspicion[row] ?? -Infinity) >= Number(min);
    return page.telling ? (data.p[row] ?? 0) >= 5000 : row < 50;
  }

  // Opens a row of the ranking. A filter that hides it is taken away.
  function showRow(row) {
    if (!page.queue.items.includes(row)) page.filterBy(page.queue.ANY);
    page.show(page.queue.items.indexOf(row));
  }

  // Whether the threshold and the map let a row through.
  function matches(row) {
    const f = page.queue.filters;
    if (f.min !== "" && !((data.suspicion[row] ?? -Infinity) >= Number(f.min))) return false;
    if (f.lasso !== "" && map && !map.inside(row, corners(f.lasso))) return false;
    return f.near === "" || !map || nearTo(f.near).has(row);
  }

  function nearTo(path) {
    if (close.path !== path) close = { path, rows: map.nearest(table.find(path) ?? null) };
    return close.rows;
  }

  function draw() {
    const f = page.queue.filters;
    if (f.min || f.lasso || f.near) element.open = true;
    if (!element.open) return;
    slider.value = f.min === "" ? 0 : String(Math.round(((Number(f.min) - low) / (high - low || 1)) * STEPS));
    const least = f.min === "" ? -Infinity : Number(f.min);
    const rows = Array.from({ length: table.count }, (_, row) => row).filter((row) => (data.suspicion[row] ?? -Infinity) >= least);
    const wrong = rows.reduce((sum, row) => sum + (table.probability(row) ?? 0), 0);
    const count = `${rows.length.toLocaleString("en")} of ${table.count.toLocaleString("en")}`;
    const hold = data.p === null ? "" : data.cannot_tell ? " The model cannot tell how many of them are wrong." : ` About ${about(wrong)} of them are probably wrong.`;
    said.textContent = `${f.min === "" ? `No threshold: all ${table.count.toLocaleString("en")} are listed.` : `${count} stand at ${signed(Number(f.min))} or above.`}${hold}`;
    slider.setAttribute("aria-valuetext", said.textContent);
    near.disabled = !map || !map.has(page.queue.open());
    all.disabled = !f.lasso && !f.near;
    map?.draw();
  }

  fill(said, "");
  return { element, draw, matches };
}
