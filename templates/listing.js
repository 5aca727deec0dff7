"use strict";

// The list on the page, of which only the rows in view are drawn.
function Listing(page) {
  const { h, fill, named, plural, percent, signed, badge } = Dom;
  const { data, table, excerpt, queue } = page;
  const ROW = 60; // pixels
  const MARGIN = 4; // rows drawn above and below those in view
  const sheet = h("ul", { class: "rv-sheet" });
  const element = h("div", { class: "rv-list", tabindex: "0", role: "region", "aria-label": "Suspects", onscroll: draw }, sheet);
  const count = h("p", { class: "rv-count" });

  // After the list has changed: its length, and how many it holds.
  function fit() {
    sheet.style.height = `${queue.items.length * ROW}px`;
    const n = queue.listed().length;
    if (queue.sampling()) count.textContent = `${page.items(n)} drawn at random`;
    else count.textContent = n === table.count ? `${plural(n, "suspect")}` : `${n.toLocaleString("en")} of ${plural(table.count, "suspect")}`;
  }

  function draw() {
    const first = Math.max(0, Math.floor(element.scrollTop / ROW) - MARGIN);
    const last = Math.min(queue.items.length, first + Math.ceil(element.clientHeight / ROW) + 2 * MARGIN);
    const kept = document.activeElement?.closest?.(".rv-row")?.dataset.item;
    const nodes = [];
    for (let at = first; at < last; at++) {
      const item = queue.items[at];
      const node = typeof item === "number" ? rowNode(item, at) : headNode(item, at);
      node.style.transform = `translateY(${at * ROW}px)`;
      nodes.push(node);
    }
    fill(sheet, ...nodes);
    if (kept) sheet.querySelector(`[data-item="${kept}"] button`)?.focus({ preventScroll: true });
  }

  function headNode(group, at) {
    return h("li", { class: "rv-head", "data-item": at },
      h("span", { title: group.title }, h("b", {}, group.title), group.counted ? null : h("span", { class: "quiet" }, ` ${group.rows.length.toLocaleString("en")}`)),
      pickButton(group.rows));
  }

  // A decision that stands is never replaced because its group was selected.
  function pickButton(rowList) {
    const open = rowList.filter(page.isOpen);
    const title = open.length === rowList.length ? "Select all" : `Select ${open.length.toLocaleString("en")} to review`;
    return h("button", { type: "button", class: "quiet-button", disabled: open.length === 0, onclick: () => page.selection.pick(open) }, title);
  }

  function rowNode(item, at) {
    const decision = page.decisions.get(item);
    const now = at === queue.current;
    const box = h("input", { type: "checkbox", "aria-label": `Select suspect ${item + 1}`, tabindex: now ? "0" : "-1", onclick: (event) => page.selection.tick(item, event) });
    box.checked = page.selection.has(item);
    const button = h("button", { type: "button", class: "rv-open", tabindex: now ? "0" : "-1", "aria-current": now ? "true" : null, onclick: () => page.show(at) },
      data.pictures[table.row(item)] !== undefined || data.noun.kind === "image" ? h("span", { class: "rv-thumb" }, page.pictures.small(table.row(item), "")) : null,
      h("span", { class: "rv-words" }, rowWords(item, at)),
      decision ? badge(decision.decision, page.WORDS[decision.decision]) : null);
    // Each item of the sample is looked at alone.
    return h("li", { class: "rv-row" + (now ? " is-current" : "") + (decision ? " is-done" : ""), "data-item": at }, queue.sampling() ? null : box, button);
  }

  function rowWords(item, at) {
    const p = table.probability(item);
    const suggestion = page.blind(item) ? null : table.suggestion(item);
    const title = queue.sampling() ? `Look ${at + 1}: ` : `Suspect ${item + 1}: `;
    const worth = p === null || !page.telling ? `suspicion ${signed(data.suspicion[table.row(item)])}` : `${percent(p)} wrong`;
    return [
      data.noun.kind === "image" ? null : h("bdi", { class: "rv-line", dir: "auto" }, excerpt.line(table.row(item), table.path(item))),
      h("span", {}, h("span", { class: "visually-hidden" }, title), named(table.label(item)), suggestion === null ? null : [" → ", named(suggestion)]),
      h("span", { class: "quiet" }, queue.sampling() ? `${at + 1}` : `${item + 1} · ${worth}`),
    ];
  }

  // Scrolls the open item into view.
  function reveal() {
    const top = queue.current * ROW;
    const low = element.scrollTop;
    if (top < low + ROW || top > low + element.clientHeight - 2 * ROW) {
      element.scrollTop = Math.max(0, top - element.clientHeight / 3);
    }
  }

  function toTop() {
    element.scrollTop = 0;
  }

  return { element, count, fit, draw, reveal, toTop, focus: () => element.focus({ preventScroll: true }) };
}
