"use strict";

// What is listed, in which order, and which item is open: the suspects that the filters let through, or the drawn
// sample. It knows rows and no elements. An item of an arranged list may be a group's heading, which is an object.
function Queue(page) {
  const { data, table, excerpt } = page;
  const ANY = { text: "", label: "", suggested: "", state: "", order: "rank", min: "", lasso: "", near: "" };
  let name = "rank";
  let items = [];
  let current = 0;
  let filters = ANY;
  let moved = false; // whether the reader has gone to an item, so that the address names it

  const sampling = () => name === "sample";
  const isItem = (item) => typeof item === "number";

  // The open item; null where nothing is listed.
  function open() {
    return isItem(items[current]) ? items[current] : null;
  }

  function matches(row) {
    const f = filters;
    if (f.label !== "" && data.label[row] !== Number(f.label)) return false;
    if (f.suggested !== "" && data.suggested[row] !== Number(f.suggested)) return false;
    const decided = page.decisions.get(row)?.decision ?? "open";
    if (f.state === "disputed" ? !page.reviewers.disputed(row) : f.state !== "" && decided !== f.state) return false;
    if (!page.explore.matches(row)) return false;
    if (f.text === "") return true;
    const text = [table.path(row), table.label(row), table.suggestion(row) ?? "", excerpt.text(row)].join("\n").toLowerCase();
    return text.includes(f.text.toLowerCase());
  }

  function shownRows() {
    if (sampling()) return table.sample;
    const found = [];
    for (let row = 0; row < table.count; row++) if (matches(row)) found.push(row);
    return found;
  }

  // Lists anew and gives the listed items. The item `keep` stays open, and without it the open one, where it is listed.
  function list(keep) {
    const row = keep ?? open();
    const found = shownRows();
    items = Arrange.list(found, sampling() ? "rank" : filters.order, data, table);
    const at = items.indexOf(row);
    current = at >= 0 ? at : Math.max(0, Math.min(current, items.length - 1));
    if (typeof items[current] === "object") current += 1;
    return found;
  }

  // The place of the next item without a decision: first from `after` on, then from the top; -1 if there is none.
  function nextOpen(after) {
    const waits = (at) => isItem(items[at]) && page.isOpen(items[at]);
    for (let at = after; at < items.length; at++) if (waits(at)) return at;
    for (let at = 0; at < Math.min(after, items.length); at++) if (waits(at)) return at;
    return -1;
  }

  // Goes to the next item without a decision, where there is one.
  function goToOpen(after = 0) {
    const at = nextOpen(after);
    if (at >= 0) current = at;
  }

  // The place of the item that lies `by` items further on; -1 beyond the ends.
  function place(by) {
    let at = current + by;
    while (typeof items[at] === "object") at += by;
    return at >= 0 && at < items.length ? at : -1;
  }

  return {
    ANY,
    sampling,
    open,
    list,
    goToOpen,
    place,
    get name() {
      return name;
    },
    get items() {
      return items;
    },
    get current() {
      return current;
    },
    get filters() {
      return filters;
    },
    get moved() {
      return moved;
    },
    listed: () => items.filter(isItem),
    go(at, byReader = false) {
      current = at;
      moved ||= byReader;
    },
    filter(wanted) {
      filters = wanted;
    },
    change(wanted) {
      name = wanted;
      current = 0;
    },
  };
}
