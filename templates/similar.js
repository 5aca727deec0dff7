"use strict";

// Selects what is like the open item: listed, without a decision, with the same two labels and a probability from `p`
// on. Above twenty it asks first. One decision is then one step, and one undo takes it back.
function Similar(page) {
  const { h, fill, named, percent } = Dom;
  const { data, table, noun } = page;
  const ASKED = 20;
  const MOST = 2000; // what undo still takes back after a reload
  const levels = h("select", { "aria-label": "Probability from which similar ones are selected", onchange: () => draw() }, [0.9, 0.8, 0.5, 0.2].map((p) => h("option", { value: p }, `${100 * p}% wrong`)));
  levels.value = "0.5";
  const button = h("button", { type: "button", class: "quiet-button", onclick: ask });
  const element = h("p", { class: "rv-similar" }, button, h("span", {}, " above "), levels);
  const words = h("p", {});
  const yes = h("button", { type: "button", class: "main-button", onclick: () => { dialog.close(); select(); } }, "Select them");
  const dialog = h("dialog", { class: "rv-chooser", "aria-label": "Select many" }, words, h("div", { class: "rv-tools" }, yes, h("button", { type: "button", class: "quiet-button", onclick: () => dialog.close() }, "Cancel")));

  // The open one comes first, whatever its probability.
  function found() {
    const open = page.queue.open();
    if (open === null || page.queue.sampling()) return [];
    const like = (row) => data.label[row] === data.label[open] && data.suggested[row] === data.suggested[open];
    const rows = page.queue.listed().filter((row) => row !== open && like(row) && page.isOpen(row) && (table.probability(row) ?? 0) >= Number(levels.value));
    return [...(page.isOpen(open) ? [open] : []), ...rows].slice(0, MOST);
  }

  function ask() {
    const rows = found();
    if (rows.length <= ASKED) return select();
    const other = table.suggestion(rows[0]);
    fill(words, h("b", {}, `Select ${rows.length.toLocaleString("en")} ${noun.many}?`), " All are labelled ", named(table.label(rows[0])), other === null ? "" : [", perhaps ", named(other)],
      `, not decided yet, and at least ${percent(Number(levels.value))} likely wrong. Most of them nobody has looked at. The next key decides about all of them. One undo takes it back.`);
    dialog.showModal();
  }

  function select() {
    page.selection.pick(found());
  }

  function draw() {
    const n = found().length;
    element.hidden = !data.p || page.queue.sampling() || page.queue.open() === null || table.suggestion(page.queue.open()) === null;
    button.disabled = n < 2;
    button.textContent = n < 2 ? "No similar ones" : `Select ${n.toLocaleString("en")} similar`;
  }

  return { element, dialog, draw };
}
