// The review: a list of suspects that draws only what is in view, one card at a time, decisions by key or button,
// filters, groups, export.
(() => {
  const data = JSON.parse(document.getElementById("audit-data").textContent);
  const app = document.getElementById("review-app");
  const table = Decisions.rows(data);
  const WORDS = { keep: "kept", relabel: "relabelled", drop: "dropped", unsure: "unsure" };
  const ROW = 60;
  const settled = new Set(data.settled);
  const telling = data.p !== null && data.p.some((p) => p >= 50); // whether any probability reaches half a percent
  let volatile = false;
  const forecast = Decisions.forecaster(data);
  const decisions = Decisions.store(data, browserStorage(), warnVolatile);

  const ANY = { text: "", label: "", suggested: "", state: "", order: "rank" };
  const view = { items: [], current: 0, filters: ANY };
  const selected = new Set();
  let lastTicked = null;
  let keysOn = true;

  // --- small helpers -------------------------------------------------------------------------------------------

  // An element; text becomes text nodes, never markup.
  function h(tag, props = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(props)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name === "class") element.className = value;
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...there(children));
    return element;
  }

  // The children that exist. The browser would write the word "null" for one that does not.
  function there(children) {
    return children.flat().filter((child) => child !== null && child !== undefined && child !== false);
  }

  // Puts new children in the place of the old ones.
  function fill(element, ...children) {
    element.replaceChildren(...there(children));
  }

  // Text whose control characters and direction marks are visible, as in the rest of the report.
  function shown(text) {
    return String(text).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (char) => {
      const code = char.codePointAt(0);
      if (code === 0x200c || code === 0x200d) return char;
      return code < 0x20 ? String.fromCodePoint(0x2400 + code) : `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
    });
  }

  const named = (text) => h("bdi", {}, shown(text));
  const plural = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
  const about = (x) => (x < 0.95 ? (Math.round(x * 10) / 10).toString() : Math.round(x).toLocaleString("en"));
  const errors = (x) => `${about(x)} error${about(x) === "1" ? "" : "s"}`;
  const percent = (p) => (p > 0.995 ? "over 99%" : p < 0.005 ? "under 1%" : `${Math.round(100 * p)}%`);
  const signed = (x) => (x === null ? "–" : (x > 0 ? "+" : "") + Number(x.toPrecision(3)).toString().replaceAll("-", "−"));

  function browserStorage() {
    try {
      return window.localStorage;
    } catch {
      return null;
    }
  }

  function warnVolatile() {
    volatile = true;
    const note = document.getElementById("rv-volatile");
    if (note) note.hidden = false;
  }

  function picture(row, alt) {
    const found = data.pictures[row];
    if (found === undefined) {
      return h("span", { class: "no-picture", role: "img", "aria-label": alt || "no picture" }, "no picture");
    }
    const url = typeof found === "number" ? document.querySelector(`img[data-picture="${found}"]`).src : found;
    return h("img", { src: url, alt, decoding: "async" });
  }

  // Further examples keep places for their pictures. The data has each picture once, and this puts them there.
  function fillPlaces(opened) {
    for (const place of opened.querySelectorAll("[data-row]")) {
      const found = picture(Number(place.dataset.row), place.getAttribute("aria-label"));
      found.title = place.title;
      place.replaceWith(found);
    }
  }

  // --- which rows are shown ------------------------------------------------------------------------------------

  function matches(row) {
    const f = view.filters;
    if (f.label !== "" && data.label[row] !== Number(f.label)) return false;
    if (f.suggested !== "" && data.suggested[row] !== Number(f.suggested)) return false;
    const decided = decisions.get(row)?.decision ?? "open";
    if (f.state !== "" && decided !== f.state) return false;
    if (f.text === "") return true;
    const text = [table.path(row), table.label(row), table.suggestion(row) ?? ""].join("\n").toLowerCase();
    return text.includes(f.text.toLowerCase());
  }

  function shownRows() {
    const found = [];
    for (let row = 0; row < table.count; row++) if (matches(row)) found.push(row);
    return found;
  }

  // The list's items: a number is a row, an object is a group's heading.
  function arrange(found) {
    if (view.filters.order === "rank") return found;
    const groups = view.filters.order === "alike" ? alike(found) : confusedPairs(found);
    return groups.flatMap((group) => [group, ...group.rows]);
  }

  function alike(found) {
    const wanted = new Set(found);
    const groups = [];
    const grouped = new Set();
    for (const members of data.groups) {
      const inside = members.filter((row) => wanted.has(row)).sort((a, b) => a - b);
      if (inside.length < 2) continue;
      inside.forEach((row) => grouped.add(row));
      const one = new Set(inside.map(table.label)).size === 1;
      groups.push({ title: `${inside.length} images that look alike${one ? "" : " but have different labels"}`, rows: inside, counted: true });
    }
    groups.sort((a, b) => a.rows[0] - b.rows[0]);
    const rest = found.filter((row) => !grouped.has(row));
    return rest.length ? [...groups, { title: "Without a look-alike", rows: rest }] : groups;
  }

  function confusedPairs(found) {
    const groups = new Map();
    for (const row of found) {
      const key = `${data.label[row]}:${data.suggested[row]}`;
      if (!groups.has(key)) {
        const other = table.suggestion(row);
        groups.set(key, { title: shown(table.label(row)) + (other === null ? ", no suggestion" : ` → ${shown(other)}`), rows: [], weight: 0 });
      }
      const group = groups.get(key);
      group.rows.push(row);
      group.weight += table.probability(row) ?? 0;
    }
    return [...groups.values()].sort((a, b) => b.weight - a.weight || a.rows[0] - b.rows[0]);
  }

  // --- the page's parts ----------------------------------------------------------------------------------------

  const ui = {};

  function option(value, text) {
    return h("option", { value }, text);
  }

  function select(name, title, options) {
    const element = h("select", { onchange: () => filterBy({ ...view.filters, [name]: element.value }, name === "order") }, options);
    ui[name] = element;
    return h("label", {}, h("span", {}, title), element);
  }

  function build() {
    const classes = data.classes.map((name, index) => option(index, shown(name)));
    const again = data.classes.map((name, index) => option(index, shown(name)));
    ui.text = h("input", { type: "search", placeholder: "file or class", onkeydown: leave, oninput: () => filterBy({ ...view.filters, text: ui.text.value }) });
    ui.progress = h("progress", { max: Math.max(1, table.count), value: 0, "aria-label": "Reviewed" });
    ui.tally = h("p", { class: "rv-tally" });
    ui.forecast = h("p", { class: "rv-forecast" });
    ui.said = h("p", { class: "rv-said", role: "status" });
    ui.undo = h("button", { type: "button", class: "quiet-button", onclick: undo, "aria-keyshortcuts": "z" }, "Undo ", h("kbd", {}, "Z"));
    ui.file = h("input", { type: "file", accept: ".json,application/json", class: "visually-hidden", id: "rv-file", tabindex: "-1", "aria-label": "Decisions file", onchange: importFile });
    ui.shown = h("p", { class: "rv-count" });
    ui.sheet = h("ul", { class: "rv-sheet" });
    ui.list = h("div", { class: "rv-list", tabindex: "0", role: "region", "aria-label": "Suspects", onscroll: drawRows }, ui.sheet);
    ui.selection = h("div", { class: "rv-selection", hidden: true });
    ui.filters = filters(classes, again);
    ui.card = h("article", { class: "rv-card", "aria-label": "Current suspect" });
    app.append(
      h("p", { class: "rv-how" }, ...howTo()),
      h("div", { class: "rv-top" }, h("div", { class: "rv-progress" }, ui.tally, ui.progress, ui.forecast), tools()),
      h("p", { id: "rv-volatile", class: "rv-warning", hidden: !volatile },
        "This browser does not keep decisions for this page. Export them before you close it."),
      ui.filters,
      h("div", { class: "rv-body" }, h("div", { class: "rv-queue" }, ui.shown, ui.list, ui.selection), h("div", {}, ui.card)),
      h("p", { class: "rv-keys" }, ...keyHelp()));
    buildChooser();
  }

  function tools() {
    // What a button did is said beside it, so that a reader sees it without scrolling.
    return h("div", { class: "rv-side" },
      h("div", { class: "rv-tools" }, ui.undo,
        h("button", { type: "button", class: "quiet-button", onclick: () => ui.file.click() }, "Import"),
        h("button", { type: "button", class: "main-button", id: "rv-export", onclick: exportFile }, "Export decisions.json"), ui.file),
      ui.said);
  }

  // On a small screen the filters are folded away, so that the first suspect is in view.
  function filters(classes, again) {
    return h("details", { class: "rv-filters-box", open: !window.matchMedia("(max-width: 640px), (max-height: 760px)").matches },
      h("summary", {}, "Find and arrange"),
      h("div", { class: "rv-filters" },
        h("label", {}, h("span", {}, "Find"), ui.text),
        select("label", "Given label", [option("", "any"), ...classes]),
        select("suggested", "Suggested label", [option("", "any"), ...again]),
        select("state", "State", [option("", "any"), option("open", "to review"), ...Decisions.KINDS.map((k) => option(k, WORDS[k]))]),
        select("order", "Arrange", [option("rank", "by rank"), option("pairs", "confused pairs together"),
          ...(data.groups.length ? [option("alike", "look-alikes together")] : [])]),
        h("button", { type: "button", class: "quiet-button", onclick: () => filterBy(ANY) }, "Clear")));
  }

  const keyed = (keys) => keys.map(([key, what]) => h("span", {}, h("kbd", {}, key), " " + what));

  function howTo() {
    return [h("b", {}, "Press one key per image. The next appears by itself."), h("b", { class: "rv-touch" }, "Tap once per image. The next appears by itself."),
      ...keyed([["K", "the label is right"], ["R", "take the suggestion"], ["C", "another class"], ["D", "drop the image"], ["U", "cannot tell"], ["Z", "undo"]])];
  }

  function keyHelp() {
    const toggle = h("input", { type: "checkbox", checked: true, onchange: () => { keysOn = toggle.checked; } });
    return [h("label", {}, toggle, " Keyboard shortcuts on"), ...keyed([["N", "next"], ["P", "previous"], ["X", "select several and decide at once"]])];
  }

  // --- the list ------------------------------------------------------------------------------------------------

  function refilter(keep) {
    const row = keep ?? currentRow();
    const found = shownRows();
    keepSelected(found);
    view.items = arrange(found);
    const at = view.items.indexOf(row);
    view.current = at >= 0 ? at : Math.max(0, Math.min(view.current, view.items.length - 1));
    if (typeof view.items[view.current] === "object") view.current += 1;
    ui.sheet.style.height = `${view.items.length * ROW}px`;
    const n = view.items.filter((item) => typeof item === "number").length;
    ui.shown.textContent = n === table.count ? `${plural(n, "suspect")}` : `${n.toLocaleString("en")} of ${plural(table.count, "suspect")}`;
  }

  // What a filter hides is not selected any more, so that no key decides about images that nobody sees.
  function keepSelected(found) {
    if (!selected.size) return;
    const listed = new Set(found);
    for (const row of [...selected]) if (!listed.has(row)) selected.delete(row);
    drawSelection();
  }

  function currentRow() {
    const item = view.items[view.current];
    return typeof item === "number" ? item : null;
  }

  function drawRows() {
    const first = Math.max(0, Math.floor(ui.list.scrollTop / ROW) - 4);
    const last = Math.min(view.items.length, first + Math.ceil(ui.list.clientHeight / ROW) + 8);
    const kept = document.activeElement?.closest?.(".rv-row")?.dataset.item;
    const nodes = [];
    for (let at = first; at < last; at++) {
      const item = view.items[at];
      const node = typeof item === "number" ? rowNode(item, at) : headNode(item, at);
      node.style.transform = `translateY(${at * ROW}px)`;
      nodes.push(node);
    }
    fill(ui.sheet, ...nodes);
    if (kept) ui.sheet.querySelector(`[data-item="${kept}"] button`)?.focus({ preventScroll: true });
  }

  function headNode(group, at) {
    return h("li", { class: "rv-head", "data-item": at },
      h("span", { title: group.title }, h("b", {}, group.title), group.counted ? null : h("span", { class: "quiet" }, ` ${group.rows.length.toLocaleString("en")}`)),
      pickButton(group.rows));
  }

  // A decision that stands is never replaced because its group was selected.
  function pickButton(rowList) {
    const open = rowList.filter(isOpen);
    const title = open.length === rowList.length ? "Select all" : `Select ${open.length.toLocaleString("en")} to review`;
    return h("button", { type: "button", class: "quiet-button", disabled: open.length === 0, onclick: () => pick(open) }, title);
  }

  function rowNode(row, at) {
    const decision = decisions.get(row);
    const p = table.probability(row);
    const box = h("input", { type: "checkbox", "aria-label": `Select suspect ${row + 1}`, tabindex: at === view.current ? "0" : "-1", onclick: (event) => tick(row, event) });
    box.checked = selected.has(row);
    const button = h("button", { type: "button", class: "rv-open", tabindex: at === view.current ? "0" : "-1", "aria-current": at === view.current ? "true" : null, onclick: () => show(at) },
      h("span", { class: "rv-thumb" }, picture(row, "")),
      h("span", { class: "rv-words" },
        h("span", {}, h("span", { class: "visually-hidden" }, `Suspect ${row + 1}: `), named(table.label(row)), table.suggestion(row) === null ? null : [" → ", named(table.suggestion(row))]),
        h("span", { class: "quiet" }, `${row + 1} · `, p === null || !telling ? `suspicion ${signed(data.suspicion[row])}` : `${percent(p)} wrong`)),
      decision ? h("span", { class: `badge state-${decision.decision}` }, WORDS[decision.decision]) : null);
    return h("li", { class: "rv-row" + (at === view.current ? " is-current" : "") + (decision ? " is-done" : ""), "data-item": at }, box, button);
  }

  function reveal() {
    const top = view.current * ROW;
    const low = ui.list.scrollTop;
    if (top < low + ROW || top > low + ui.list.clientHeight - 2 * ROW) {
      ui.list.scrollTop = Math.max(0, top - ui.list.clientHeight / 3);
    }
  }

  function show(at) {
    view.current = at;
    reveal();
    drawRows();
    drawCard();
  }

  function step(by) {
    let at = view.current + by;
    while (typeof view.items[at] === "object") at += by;
    if (at >= 0 && at < view.items.length) show(at);
  }

  // The place of the next row without a decision: first below `after`, then from the top; -1 if there is none.
  function nextOpen(after) {
    const open = (at) => typeof view.items[at] === "number" && isOpen(view.items[at]);
    for (let at = after; at < view.items.length; at++) if (open(at)) return at;
    for (let at = 0; at < Math.min(after, view.items.length); at++) if (open(at)) return at;
    return -1;
  }

  const isOpen = (row) => !decisions.get(row);

  // --- selection -----------------------------------------------------------------------------------------------

  function tick(row, event) {
    if (event.shiftKey && lastTicked !== null) {
      const [a, b] = [view.items.indexOf(lastTicked), view.items.indexOf(row)].sort((x, y) => x - y);
      for (const item of view.items.slice(Math.max(0, a), b + 1)) if (typeof item === "number" && isOpen(item)) selected.add(item);
      selected.add(row);
    } else if (selected.has(row)) selected.delete(row);
    else selected.add(row);
    lastTicked = row;
    drawSelection();
    drawRows();
    drawCard();
  }

  function pick(rowList) {
    rowList.forEach((row) => selected.add(row));
    drawSelection();
    drawRows();
    drawCard();
  }

  function unpick() {
    selected.clear();
    drawSelection();
    drawRows();
    drawCard();
  }

  function drawSelection() {
    ui.selection.hidden = selected.size === 0;
    const act = (title, decision) => h("button", { type: "button", class: "quiet-button", onclick: () => decide(decision) }, title);
    fill(ui.selection,
      h("p", {}, h("b", {}, `${selected.size.toLocaleString("en")} selected.`), " Keys and buttons apply to all of them, and to no other image."),
      h("div", {}, act("Keep", "keep"), act("Relabel each as suggested", "relabel"), h("button", { type: "button", class: "quiet-button", onclick: openChooser }, "Choose a class"),
        act("Drop", "drop"), act("Unsure", "unsure"), h("button", { type: "button", class: "quiet-button", onclick: unpick }, "Cancel")));
  }

  // --- deciding ------------------------------------------------------------------------------------------------

  function targets() {
    if (selected.size) return [...selected].sort((a, b) => a - b);
    const row = currentRow();
    return row === null ? [] : [row];
  }

  function decide(decision, label = null) {
    const chosen = targets();
    const bySuggestion = decision === "relabel" && label === null;
    const rowList = bySuggestion ? chosen.filter((row) => table.suggestion(row) !== null) : chosen;
    if (!rowList.length) {
      if (chosen.length) openChooser();
      return;
    }
    decisions.decide(rowList.map((row) => {
      const to = decision === "relabel" ? (label ?? table.suggestion(row)) : null;
      return to === table.label(row) ? [row, "keep", null] : [row, decision, to];
    }));
    const what = rowList.length > 1 ? plural(rowList.length, "image") : shown(table.path(rowList[0]));
    const to = decision === "relabel" ? ` to ${shown(label ?? (rowList.length > 1 ? "the suggestions" : table.suggestion(rowList[0])))}` : "";
    const rest = chosen.length > rowList.length ? ` Still selected, as they have no suggestion: ${chosen.length - rowList.length}.` : "";
    say(`${decision === "unsure" ? "Left as unsure" : WORDS[decision][0].toUpperCase() + WORDS[decision].slice(1)}: ${what}${to}.${rest}`);
    rowList.forEach((row) => selected.delete(row));
    drawSelection();
    afterDecision();
  }

  function afterDecision() {
    const row = currentRow();
    refilter(row);
    const stays = view.items[view.current] === row;
    const at = nextOpen(stays ? view.current + 1 : view.current);
    if (at >= 0) view.current = at;
    draw();
  }

  function undo() {
    const rowList = decisions.undo();
    if (!rowList.length) return say("Nothing to undo.");
    refilter(rowList[0]);
    say(`Undone: ${rowList.length > 1 ? plural(rowList.length, "image") : shown(table.path(rowList[0]))}.`);
    draw();
  }

  function say(text) {
    ui.said.textContent = text;
  }

  // --- the card ------------------------------------------------------------------------------------------------

  function drawCard() {
    const row = currentRow();
    if (row === null) {
      fill(ui.card, h("p", { class: "rv-none" }, table.count ? "No suspect matches the filters." : "This audit ranked no image."));
      return;
    }
    const decision = decisions.get(row);
    const suggestion = table.suggestion(row);
    const pressed = ui.card.contains(document.activeElement) ? document.activeElement.dataset.act : null;
    fill(ui.card,
      h("div", { class: "rv-picture" }, picture(row, `Suspect ${row + 1}, labelled ${shown(table.label(row))}`)),
      h("div", {},
        h("p", { class: "rv-place quiet" }, `Suspect ${(row + 1).toLocaleString("en")} of ${table.count.toLocaleString("en")}`,
          decision ? h("span", { class: `badge state-${decision.decision}` }, WORDS[decision.decision], decision.new_label === null ? null : [" to ", named(decision.new_label)]) : null,
          selected.size ? h("span", { class: "badge warn" }, `Keys apply to the ${selected.size.toLocaleString("en")} selected`) : null),
        h("dl", { class: "rv-labels" },
          h("div", {}, h("dt", {}, "Given label"), h("dd", {}, named(table.label(row)))),
          h("div", {}, h("dt", {}, "Suggested"), h("dd", { class: "wrong" }, suggestion === null ? h("span", { class: "quiet" }, "none") : named(suggestion), likely(row)))),
        probabilityWords(row, suggestion),
        actions(row, suggestion),
        h("p", { class: "rv-facts quiet" }, `suspicion ${signed(data.suspicion[row])} · average influence ${signed(data.influence[row])}`, h("br"), h("bdi", {}, shown(table.path(row))))),
      why(row));
    if (pressed) ui.card.querySelector(`[data-act="${pressed}"]`)?.focus({ preventScroll: true });
  }

  function probabilityWords(row, suggestion) {
    const p = table.probability(row);
    if (settled.has(row)) return h("p", {}, "The trusted reference contains this image with the label ", named(suggestion), ".");
    if (p === null) return h("p", { class: "quiet" }, "No probability was estimated.");
    return h("p", {}, h("b", {}, percent(p)), " likely that the given label is wrong", telling ? null : expectsNone());
  }

  function actions(row, suggestion) {
    return h("div", { class: "rv-actions" },
      action("keep", "K", "Keep ", named(table.label(row))),
      suggestion === null ? null : action("relabel", "R", "Relabel to ", named(suggestion)),
      h("button", { type: "button", onclick: openChooser, "aria-keyshortcuts": "c", "data-act": "choose" }, h("span", {}, "Another class"), h("kbd", {}, "C")),
      action("drop", "D", "Drop"), action("unsure", "U", "Unsure"),
      h("button", { type: "button", onclick: () => step(1), "aria-keyshortcuts": "n", "data-act": "next" }, h("span", {}, "Next"), h("kbd", {}, "N")));
  }

  // Said beside an estimate near zero: it tells little about one image while its interval is wide.
  function expectsNone() {
    const most = data.count?.interval?.[1];
    return h("span", { class: "quiet" }, ". The audit expects next to no errors in all" + (most ? `, but cannot rule out ${about(most)}.` : "."));
  }

  // The model's probability of the suggested label.
  function likely(row) {
    const p = data.likely[row];
    return p === undefined ? null : h("span", { class: "rv-likely" }, `model: ${percent(p)}`);
  }

  function action(decision, key, ...text) {
    const pressed = decisions.get(currentRow())?.decision === decision;
    return h("button", { type: "button", class: `act-${decision}`, "aria-pressed": String(pressed), "aria-keyshortcuts": key.toLowerCase(), "data-act": decision, onclick: () => decide(decision) }, h("span", {}, ...text), h("kbd", {}, key));
  }

  function why(row) {
    const [against, neighbours] = data.why[row] ?? [[], []];
    const strip = (title, kind, entries, text) => entries.length === 0 ? null
      : h("div", { class: "strip" }, h("h3", { class: "strip-title " + kind }, title), h("div", { class: "shots small" }, entries.map(([other, value]) =>
        h("figure", { class: "shot" }, picture(other, `Labelled ${shown(table.label(other))}`),
          h("figcaption", {}, h("b", {}, named(table.label(other))), h("span", { class: "quiet" }, " " + text(value)))))));
    if (!against.length && !neighbours.length) return null;
    return h("div", { class: "rv-why strips" },
      strip("Training images that argue against this label", "low", against, (value) => `influence ${signed(value)}`),
      strip("Its nearest neighbours", "", neighbours, (value) => `similarity ${value.toFixed(2)}`));
  }

  // --- choosing any class --------------------------------------------------------------------------------------

  function buildChooser() {
    ui.find = h("input", { type: "text", role: "combobox", autocomplete: "off", "aria-expanded": "true", "aria-controls": "rv-options", "aria-label": "Class", placeholder: "type to find", oninput: () => drawOptions(null), onkeydown: chooserKey });
    ui.options = h("ul", { id: "rv-options", role: "listbox", "aria-label": "Classes" });
    ui.chooser = h("dialog", { class: "rv-chooser", "aria-label": "Relabel to another class" }, h("p", {}, h("b", {}, "Relabel to")), ui.find, ui.options);
    app.append(ui.chooser);
  }

  function openChooser() {
    if (!targets().length) return;
    ui.find.value = "";
    drawOptions(null);
    ui.chooser.showModal();
    ui.find.focus();
  }

  function drawOptions(active) {
    const wanted = ui.find.value.toLowerCase();
    const given = new Set(targets().map(table.label));
    const open = data.classes.filter((name) => given.size !== 1 || !given.has(name));
    const begins = (name) => (name.toLowerCase().startsWith(wanted) ? 0 : 1);
    const found = open.filter((name) => shown(name).toLowerCase().includes(wanted) || name.toLowerCase().includes(wanted));
    ui.found = found.sort((a, b) => begins(a) - begins(b)).slice(0, 50);
    // Enter chooses only what was typed or pointed at.
    const free = wanted === "" && active === null && ui.found.length > 1;
    ui.active = free ? -1 : Math.min(active ?? 0, ui.found.length - 1);
    fill(ui.options, ...ui.found.map((name, index) => h("li", { role: "option", id: `rv-option-${index}`, "aria-selected": String(index === ui.active), onclick: () => choose(name) }, named(name))));
    if (ui.active >= 0) ui.find.setAttribute("aria-activedescendant", `rv-option-${ui.active}`);
    else ui.find.removeAttribute("aria-activedescendant");
    ui.options.children[ui.active]?.scrollIntoView({ block: "nearest" });
  }

  function chooserKey(event) {
    if (event.repeat && event.key.length === 1 && ui.find.value === "") event.preventDefault(); // C, still held down
    else if (event.key === "ArrowDown") drawOptions(Math.min(ui.active + 1, ui.found.length - 1));
    else if (event.key === "ArrowUp") drawOptions(Math.max(ui.active - 1, 0));
    else if (event.key === "Enter" && ui.active >= 0) choose(ui.found[ui.active]);
    else return;
    event.preventDefault();
  }

  function choose(name) {
    ui.chooser.close();
    ui.find.blur();
    decide("relabel", name);
  }

  // --- filters, keys, files ------------------------------------------------------------------------------------

  // With `fromTop` the first suspect of the new list comes next. Otherwise the current one stays, if it is listed.
  function filterBy(wanted, fromTop = false) {
    view.filters = wanted;
    for (const name of Object.keys(wanted)) ui[name].value = wanted[name];
    if (fromTop) view.current = 0;
    refilter(fromTop ? -1 : undefined);
    draw();
  }

  function filterCell(cell) {
    const [label, suggested] = cell.split(":");
    ui.filters.open = true;
    filterBy({ ...ANY, label, suggested }, true);
    document.getElementById("review").scrollIntoView();
    ui.list.focus({ preventScroll: true });
  }

  function inView(element) {
    const box = element.getBoundingClientRect();
    return box.bottom > 80 && box.top < window.innerHeight - 80;
  }

  // Keys act only while the current picture is in view and nobody is typing, so that no key decides about an unseen image. Where
  // only the rest of the tool is in view, the first key brings the card.
  function onKey(event) {
    if (!keysOn || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || ui.chooser.open) return;
    // A closed chooser keeps the focus until the next frame. A quick key must not be lost to it.
    const typing = event.target.closest("input:not([type=checkbox]), textarea");
    if (typing && typing !== ui.find) return;
    if (event.target.closest("select") && !keyOfReview(event)) return;
    const moves = { n: () => step(1), p: () => step(-1), j: () => step(1) };
    const acts = {
      k: () => decide("keep"), r: () => decide("relabel"), c: openChooser, d: () => decide("drop"), u: () => decide("unsure"), z: undo,
      x: () => currentRow() !== null && tick(currentRow(), {}), Escape: unpick,
    };
    const inList = event.target.closest(".rv-list");
    if (inList) Object.assign(moves, { ArrowDown: () => step(1), ArrowUp: () => step(-1) });
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const act = moves[key] ?? acts[key];
    if (!act || !inView(app)) return;
    event.preventDefault();
    if (event.repeat && !moves[key]) return; // a key held down decides once, not about images that nobody has seen
    if (seen()) act();
    else ui.card.scrollIntoView({ block: window.innerHeight > ui.card.offsetHeight + 80 ? "center" : "start" });
  }

  // Whether at least half of the current picture can be seen below the bar.
  function seen() {
    const box = (ui.card.querySelector(".rv-picture") ?? ui.card).getBoundingClientRect();
    const visible = Math.min(box.bottom, window.innerHeight) - Math.max(box.top, 50);
    return visible >= box.height / 2;
  }

  // A closed filter would take a letter for the beginning of another entry. Letters belong to the review. All other
  // keys, and the letters of an open list, belong to the filter.
  function keyOfReview(event) {
    const letter = event.key.length === 1 && event.key !== " ";
    if (!letter || isOpenList(event.target)) return false;
    event.preventDefault();
    return true;
  }

  function isOpenList(element) {
    try {
      return element.matches(":open");
    } catch {
      return false; // an older browser does not know the word
    }
  }

  // Enter ends typing, so that the next key decides.
  function leave(event) {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    ui.list.focus({ preventScroll: true });
  }

  function exportFile() {
    const text = JSON.stringify(decisions.toDocument(), null, 1) + "\n";
    const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    const link = h("a", { href: url, download: "decisions.json" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
    say(`Exported ${plural(decisions.size, "decision")}. Next: auditor review apply OUT decisions.json`);
  }

  async function importFile() {
    const file = ui.file.files[0];
    if (!file) return;
    try {
      const { read, changed, older } = decisions.fromDocument(await file.text());
      say(`Read ${plural(read, "decision")}: ${changed} imported, ${older} left out as older than yours, the rest already the same.`);
    } catch (error) {
      say(`Nothing was imported. ${shown(error.message)}`);
    }
    ui.file.value = "";
    refilter();
    draw();
  }

  // --- drawing everything that decisions change ----------------------------------------------------------------

  function drawProgress() {
    const counts = decisions.counts();
    const parts = Decisions.KINDS.filter((k) => counts[k]).map((k) => `${counts[k].toLocaleString("en")} ${WORDS[k]}`);
    fill(ui.tally, h("b", {}, `${decisions.size.toLocaleString("en")} of ${table.count.toLocaleString("en")}`), ` reviewed${parts.length ? ": " + parts.join(", ") : ""}`);
    ui.progress.value = decisions.size;
    ui.undo.disabled = !decisions.canUndo;
    fill(ui.forecast, ...forecastWords(forecast(decisions)));
  }

  function forecastWords(f) {
    if (!f) return ["This audit did not estimate how many errors remain."];
    if (f.left === 0) return ["Everything is reviewed. Export your decisions to apply them."];
    const [low, high] = f.interval.map(about);
    if (f.total < 0.5 && f.interval[1] < 1) return ["Probably nothing is left to find."];
    if (f.total < 0.5) return [`Perhaps nothing is left to find. Up to ${errors(f.interval[1])} cannot be ruled out yet.`];
    const remain = about(f.total) === "1" ? "remains" : "remain";
    return ["The next ", h("b", {}, f.depth.toLocaleString("en")), " should contain about ", h("b", {}, errors(f.within)),
      `. About ${about(f.total)} ${remain} in total (${low} to ${high}).`];
  }

  function draw() {
    drawProgress();
    reveal();
    drawRows();
    drawCard();
  }

  build();
  document.documentElement.classList.add("has-review");
  app.hidden = false;
  refilter();
  const start = nextOpen(0);
  if (start >= 0) view.current = start;
  draw();
  new ResizeObserver(drawRows).observe(ui.list);
  document.addEventListener("keydown", onKey);
  document.querySelectorAll("details.more").forEach((d) => d.addEventListener("toggle", () => fillPlaces(d), { once: true }));
  document.querySelectorAll("[data-cell]").forEach((b) => b.addEventListener("click", () => filterCell(b.dataset.cell)));
  window.addEventListener("storage", (event) => {
    if (event.key !== decisions.key) return;
    decisions.load();
    selected.clear(); // some of them may be decided in the other window now
    drawSelection();
    refilter();
    draw();
  });
  window.addEventListener("beforeunload", (event) => {
    if (volatile && decisions.size) event.preventDefault();
  });
  // On paper nothing can be opened. A hundred further examples stay off it.
  window.addEventListener("beforeprint", () => document.querySelectorAll("details:not(.more)").forEach((d) => { d.open = true; }));
})();
