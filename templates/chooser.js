"use strict";

// The dialog in which a reviewer names any class. `given` gives the labels at hand, and `choose` takes the class.
function Chooser(classes, given, choose) {
  const { h, fill, shown, named } = Dom;
  const find = h("input", { type: "text", role: "combobox", autocomplete: "off", "aria-expanded": "true", "aria-controls": "rv-options", "aria-label": "Class", placeholder: "type to find", oninput: () => draw(null), onkeydown: onKey });
  const options = h("ul", { id: "rv-options", role: "listbox", "aria-label": "Classes" });
  const dialog = h("dialog", { class: "rv-chooser", "aria-label": "Relabel to another class" }, h("p", {}, h("b", {}, "Relabel to")), find, options);
  let found = [];
  let active = -1;

  function open() {
    find.value = "";
    draw(null);
    dialog.showModal();
    find.focus();
  }

  function draw(wish) {
    const wanted = find.value.toLowerCase();
    const labels = given();
    const others = classes.filter((name) => labels.size !== 1 || !labels.has(name));
    const begins = (name) => (name.toLowerCase().startsWith(wanted) ? 0 : 1);
    const matching = others.filter((name) => shown(name).toLowerCase().includes(wanted) || name.toLowerCase().includes(wanted));
    found = matching.sort((a, b) => begins(a) - begins(b)).slice(0, 50);
    // Enter chooses only what was typed or pointed at.
    const free = wanted === "" && wish === null && found.length > 1;
    active = free ? -1 : Math.min(wish ?? 0, found.length - 1);
    fill(options, ...found.map((name, index) => h("li", { role: "option", id: `rv-option-${index}`, "aria-selected": String(index === active), onclick: () => take(name) }, named(name))));
    if (active >= 0) find.setAttribute("aria-activedescendant", `rv-option-${active}`);
    else find.removeAttribute("aria-activedescendant");
    options.children[active]?.scrollIntoView({ block: "nearest" });
  }

  function onKey(event) {
    if (event.repeat && event.key.length === 1 && find.value === "") event.preventDefault(); // C, still held down
    else if (event.key === "ArrowDown") draw(Math.min(active + 1, found.length - 1));
    else if (event.key === "ArrowUp") draw(Math.max(active - 1, 0));
    else if (event.key === "Enter" && active >= 0) take(found[active]);
    else return;
    event.preventDefault();
  }

  function take(name) {
    dialog.close();
    find.blur();
    choose(name);
  }

  return { dialog, find, open };
}
