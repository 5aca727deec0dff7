"use strict";

// Items selected so that one key decides about all of them, and the bar that says so.
function Selection(page) {
  const { h, fill } = Dom;
  const { queue } = page;
  const chosen = new Set();
  const element = h("div", { class: "rv-selection", hidden: true });
  let lastTicked = null;

  function tick(row, event) {
    if (queue.sampling()) return;
    if (event.shiftKey && lastTicked !== null) {
      const [a, b] = [queue.items.indexOf(lastTicked), queue.items.indexOf(row)].sort((x, y) => x - y);
      for (const item of queue.items.slice(Math.max(0, a), b + 1)) if (typeof item === "number" && page.isOpen(item)) chosen.add(item);
      chosen.add(row);
    } else if (chosen.has(row)) chosen.delete(row);
    else chosen.add(row);
    lastTicked = row;
    drawAll();
  }

  function pick(rowList) {
    rowList.forEach((row) => chosen.add(row));
    drawAll();
  }

  function cancel() {
    chosen.clear();
    drawAll();
  }

  function drawAll() {
    draw();
    page.drawItem();
  }

  // What a filter hides is not selected any more, so that no key decides about items that nobody sees.
  function keep(found) {
    if (!chosen.size) return;
    const listed = new Set(found);
    for (const row of [...chosen]) if (!listed.has(row)) chosen.delete(row);
    draw();
  }

  // Takes items out of the selection, or with no list all of them. The caller draws the rest.
  function drop(rowList = [...chosen]) {
    rowList.forEach((row) => chosen.delete(row));
    draw();
  }

  function draw() {
    element.hidden = chosen.size === 0;
    const button = (title, onclick) => h("button", { type: "button", class: "quiet-button", onclick }, title);
    const act = (title, decision) => button(title, () => page.deciding.decide(decision));
    fill(element,
      h("p", {}, h("b", {}, `${chosen.size.toLocaleString("en")} selected.`), ` Keys and buttons apply to all of them, and to no other ${page.noun.one}.`),
      h("div", {}, act("Keep", "keep"), act("Relabel each as suggested", "relabel"), button("Choose a class", () => page.deciding.choose()),
        act("Drop", "drop"), act("Unsure", "unsure"), button("Cancel", cancel)));
  }

  return {
    element,
    tick,
    pick,
    cancel,
    keep,
    drop,
    has: (item) => chosen.has(item),
    get size() {
      return chosen.size;
    },
    // What keys apply to: the selected items, or else the open one.
    targets() {
      if (chosen.size) return [...chosen].sort((a, b) => a - b);
      return queue.open() === null ? [] : [queue.open()];
    },
  };
}
