"use strict";

// The fields that say what is listed and in which order. On a small screen they are folded away, so that the first
// suspect is in view.
function Filters(page) {
  const { h, shown } = Dom;
  const { data, queue, noun } = page;
  const fields = {};
  const option = (value, text) => h("option", { value }, text);
  const classes = () => data.classes.map((name, index) => option(index, shown(name)));
  fields.text = h("input", { type: "search", placeholder: noun.kind === "image" ? "file or class" : `${noun.one} or class`, onkeydown: (event) => page.keys.leave(event), oninput: () => page.filterBy({ ...queue.filters, text: fields.text.value }) });
  const element = h("details", { class: "rv-filters-box", open: !window.matchMedia("(max-width: 640px), (max-height: 760px)").matches },
    h("summary", {}, "Find and arrange"),
    h("div", { class: "rv-filters" },
      h("label", {}, h("span", {}, "Find"), fields.text),
      select("label", "Given label", [option("", "any"), ...classes()]),
      select("suggested", "Suggested label", [option("", "any"), ...classes()]),
      select("state", "State", [option("", "any"), option("open", "to review"), ...Decisions.KINDS.map((k) => option(k, page.WORDS[k])), ...(page.server ? [option("disputed", "reviewers disagree")] : [])]),
      select("order", "Arrange", [option("rank", "by rank"), option("pairs", "confused pairs together"), ...Arrange.SORTED.map(([value, title]) => option(value, title)),
        ...(data.groups.length ? [option("alike", "look-alikes together")] : [])]),
      h("button", { type: "button", class: "quiet-button", onclick: () => page.filterBy(queue.ANY) }, "Clear")));

  function select(name, title, options) {
    fields[name] = h("select", { onchange: () => page.filterBy({ ...queue.filters, [name]: fields[name].value }, name === "order") }, options);
    return h("label", {}, h("span", {}, title), fields[name]);
  }

  // Shows filters that were set elsewhere.
  function set(wanted) {
    for (const name of Object.keys(fields)) if (wanted[name] !== undefined) fields[name].value = wanted[name];
  }

  // Whether somebody could choose the value here.
  function knows(name, value) {
    const field = fields[name];
    if (field?.options) return [...field.options].some((o) => o.value === value);
    return name !== "min" || Number.isFinite(Number(value));
  }

  return { element, set, knows };
}
