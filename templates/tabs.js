"use strict";

// The two lists to look at, and what each is for. Without a sample there is one, and nothing to choose.
function Tabs(page) {
  const { h, fill } = Dom;
  const { table, queue } = page;
  const LISTS = [["rank", "Suspects"], ["sample", `Sample of ${table.sample.length.toLocaleString("en")}`]];
  const buttons = LISTS.map(([name, title]) => h("button", { type: "button", class: "quiet-button", "data-queue": name, onclick: () => page.changeQueue(name) }, title));
  const purpose = h("p", { class: "rv-purpose" });
  const element = table.sample.length ? h("div", { class: "rv-queues" }, h("div", { role: "group", "aria-label": "What to look at" }, buttons), purpose) : null;

  function draw() {
    if (!element) return;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.queue === queue.name));
    fill(purpose, queue.sampling()
      ? "Drawn at random. Your answers prove how many labels are wrong, whatever kind of errors they are. Suggestions come after your answer."
      : "Most suspicious first: the quickest way to find errors. It cannot prove how many are left. The sample can.");
  }

  return { element, draw };
}
