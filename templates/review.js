"use strict";

// The review: a list of suspects or the drawn sample, of which only what is in view is drawn, one card at a time,
// decisions by key or button, filters, groups, export.
(() => {
  const { h, fill, shown, named, plural, about, errors, percent, signed, badge } = Dom;
  const data = JSON.parse(document.getElementById("audit-data").textContent);
  const app = document.getElementById("review-app");
  const table = Decisions.rows(data);
  const excerpt = Excerpt(data);
  const { one, many } = data.noun;
  const items = (n) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
  const WORDS = { keep: "kept", relabel: "relabelled", drop: "dropped", unsure: "unsure" };
  const ROW = 60;
  const NAME_KEY = "auditor.reviewer";
  const NAME_LENGTH = 80;
  // Whether any probability reaches half a percent, and the model can tell how many labels are wrong at all.
  const telling = !data.cannot_tell && data.p !== null && data.p.some((p) => p >= 50);
  let volatile = false;
  const forecast = Decisions.forecaster(data);
  // A server keeps the decisions where one shows the page. Else the browser does.
  const server = data.served ? Remote(data, { changed: takeChanges, others: takeOthers, state: drawSaved }) : null;
  const decisions = Decisions.store(data, server ?? browserStorage(), warnVolatile);

  const ANY = { text: "", label: "", suggested: "", state: "", order: "rank", min: "", lasso: "", near: "" };
  const view = { items: [], current: 0, filters: ANY, queue: "rank" };
  const selected = new Set();
  let lastTicked = null;
  let moved = false; // whether the reader has gone to an item, so that the address names it
  let keysOn = true;

  const sampling = () => view.queue === "sample";
  const isOpen = (item) => !decisions.get(item);
  const blind = (item) => sampling() && isOpen(item);

  // --- small helpers -------------------------------------------------------------------------------------------

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
    if (found === undefined && (data.noun.kind !== "image" || excerpt.text(row))) return excerpt.element(row, table.path(row));
    if (found === undefined) {
      return h("span", { class: "no-picture", role: "img", "aria-label": alt || "no picture" }, "no picture");
    }
    const url = typeof found === "number" ? document.querySelector(`img[data-picture="${found}"]`).src : found;
    return h("img", { src: url, alt, decoding: "async" });
  }

  // Whether the item is seen as a picture.
  const pictured = (row) => data.pictures[row] !== undefined || (data.noun.kind === "image" && !excerpt.text(row));

  // The item as it is judged: its picture, or all of its text in a box that scrolls. A server has it at full size.
  function whole(row, title) {
    if (!pictured(row)) {
      const box = h("div", { class: "whole", tabindex: "0", role: "region", "aria-label": title }, excerpt.element(row, table.path(row), true));
      if (server && excerpt.text(row).endsWith("…")) wholeText(row, box);
      return box;
    }
    if (!server) return picture(row, title);
    const large = full(row, title);
    large.addEventListener("error", async () => {
      const { status, words } = await server.ask(server.item(row));
      large.replaceWith(picture(row, title), h("p", { class: "quiet rv-lacks" }, status >= 400 ? words.trim() : "This is the small picture: the server did not give the whole one."));
    }, { once: true });
    return large;
  }

  const full = (row, title) => h("img", { src: server.item(row), alt: title, decoding: "async" });

  // Without an answer the excerpt stays.
  async function wholeText(row, box) {
    const { status, words } = await server.ask(server.item(row));
    if (status === 200) fill(box, h("div", { class: "excerpt", dir: "auto" }, Dom.readable(words)));
  }

  function enlarge(row, title) {
    if (!pictured(row) || (!server && data.pictures[row] === undefined)) return null;
    return h("button", { type: "button", class: "quiet-button rv-enlarge", "aria-keyshortcuts": "f", "data-act": "enlarge", onclick: () => openLarge(row, title) }, "Enlarge ", h("kbd", {}, "F"));
  }

  // The file of a row, where it lies beside this page. Its address is relative and cannot leave the folder.
  const absent = new Set(data.files?.absent ?? []);
  function original(row) {
    if (!data.files || server || absent.has(row)) return null;
    return "./" + (data.files.base + table.path(row)).split("/").map(encodeURIComponent).join("/");
  }

  function openLarge(row, title) {
    const here = ui.card.element.querySelector(".rv-picture img");
    if (server && here?.src.endsWith(server.item(row))) return ui.zoom.open(full(row, title));
    ui.zoom.open(picture(row, title), server ? "" : original(row) && !blind(currentRow()) ? h("span", {}, "This is a small picture. ", h("a", { href: original(row), target: "_blank", rel: "noopener" }, "Open the whole one")) : "This file holds a small picture. The whole one is shown by: auditor review serve OUT");
  }

  // The next pictures are on their way while a person looks at this one.
  function fetchAhead() {
    if (!server) return;
    for (const item of view.items.slice(view.current + 1, view.current + 4)) {
      if (typeof item === "number" && pictured(table.row(item))) new Image().src = server.item(table.row(item));
    }
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
    if (f.state === "disputed" ? !disputed(row) : f.state !== "" && decided !== f.state) return false;
    if (!ui.explore.matches(row)) return false;
    if (f.text === "") return true;
    const text = [table.path(row), table.label(row), table.suggestion(row) ?? "", excerpt.text(row)].join("\n").toLowerCase();
    return text.includes(f.text.toLowerCase());
  }

  // Whether another reviewer says something else. Who is unsure says nothing.
  function disputed(row) {
    const mine = decisions.get(row);
    if (!server || !mine || mine.decision === "unsure") return false;
    return server.others(table.path(row)).some((other) => other.decision !== "unsure" && (other.decision !== mine.decision || other.new_label !== mine.new_label));
  }

  function shownRows() {
    if (sampling()) return table.sample;
    const found = [];
    for (let row = 0; row < table.count; row++) if (matches(row)) found.push(row);
    return found;
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
    ui.text = h("input", { type: "search", placeholder: data.noun.kind === "image" ? "file or class" : `${one} or class`, onkeydown: leave, oninput: () => filterBy({ ...view.filters, text: ui.text.value }) });
    ui.progress = h("progress", { max: Math.max(1, table.count), value: 0, "aria-label": "Reviewed" });
    ui.tally = h("p", { class: "rv-tally" });
    ui.forecast = h("p", { class: "rv-forecast" });
    ui.toast = Toast(undo);
    ui.undo = h("button", { type: "button", class: "quiet-button", onclick: undo, "aria-keyshortcuts": "z" }, "Undo ", h("kbd", {}, "Z"));
    ui.file = h("input", { type: "file", accept: ".json,application/json", class: "visually-hidden", id: "rv-file", tabindex: "-1", "aria-label": "Decisions file", onchange: importFile });
    ui.shown = h("p", { class: "rv-count" });
    ui.sheet = h("ul", { class: "rv-sheet" });
    ui.list = h("div", { class: "rv-list", tabindex: "0", role: "region", "aria-label": "Suspects", onscroll: drawRows }, ui.sheet);
    ui.selection = h("div", { class: "rv-selection", hidden: true });
    ui.filters = filters(classes, again);
    ui.explore = Explore({ data, table, noun: data.noun, telling, filters: () => view.filters, open: currentRow, showRow, filterBy: (change) => filterBy({ ...view.filters, ...change }) });
    ui.classpage = ClassPage(data, table, (a, b) => filterBy({ ...ANY, label: String(a), suggested: String(b) }, true));
    ui.similar = Similar({ data, table, noun: data.noun, open: currentRow, sampling, listed: () => view.items.filter((item) => typeof item === "number"), decided: (item) => !isOpen(item), pick });
    ui.how = h("p", { class: "rv-how" }, ...howTo());
    ui.card = Card({ data, table, decisions, picture, whole, enlarge, openLarge, original, others: (path) => server?.others(path) ?? [], noun: data.noun, blind, sampling, telling, words: WORDS, likeliest: Likeliest(data, table), decide, decideClass, choose: openChooser, next: () => step(1) });
    ui.chooser = Chooser(data.classes, () => new Set(targets().map(table.label)), (name) => decide("relabel", name));
    ui.zoom = Zoom(onKey);
    ui.saved = h("p", { class: "rv-saved quiet", role: "status" });
    ui.agreement = h("p", { class: "rv-saved rv-agreement", hidden: true });
    ui.name = h("input", { type: "text", maxlength: NAME_LENGTH, autocomplete: "off", onkeydown: leave, oninput: keepName, onchange: () => server?.name(reviewer()) });
    ui.name.value = keptName();
    const name = h("label", { class: "rv-name" }, h("span", {}, server ? "Your name" : "Your name, for the export"), ui.name);
    fill(app,
      queues(),
      h("div", { class: "rv-top" }, h("div", { class: "rv-progress" }, ui.tally, ui.progress, ui.forecast), tools(server ? name : null)),
      h("p", { id: "rv-volatile", class: "rv-warning", hidden: !volatile },
        "This browser does not keep decisions for this page. Export them before you close it."),
      ui.explore.element,
      h("div", { class: "rv-body" }, h("div", { class: "rv-queue" }, ui.filters, ui.classpage.element, ui.shown, ui.list, ui.similar.element, ui.selection), h("div", {}, ui.card.element)),
      ui.how,
      server ? null : h("p", {}, name),
      h("p", { class: "rv-keys" }, ...keyHelp()));
    app.append(ui.chooser.dialog, ui.zoom.dialog, ui.similar.dialog, ui.toast.element);
  }

  function tools(name) {
    return h("div", { class: "rv-side" },
      h("div", { class: "rv-tools" }, ui.undo,
        h("button", { type: "button", class: "quiet-button", onclick: () => ui.file.click() }, "Import"),
        h("button", { type: "button", class: "main-button", id: "rv-export", onclick: exportFile }, "Export decisions.json"), ui.file),
      name, ...(server ? [ui.saved, ui.agreement] : []));
  }

  // The two lists. Without a sample there is one, and nothing to choose.
  function queues() {
    if (!table.sample.length) return null;
    ui.queues = [["rank", "Suspects"], ["sample", `Sample of ${table.sample.length.toLocaleString("en")}`]].map(([queue, title]) =>
      h("button", { type: "button", class: "quiet-button", "data-queue": queue, onclick: () => changeQueue(queue) }, title));
    ui.purpose = h("p", { class: "rv-purpose" });
    return h("div", { class: "rv-queues" }, h("div", { role: "group", "aria-label": "What to look at" }, ui.queues), ui.purpose);
  }

  function changeQueue(queue) {
    view.queue = queue;
    view.current = 0;
    selected.clear();
    drawSelection();
    refilter(-1);
    const first = nextOpen(0);
    if (first >= 0) view.current = first;
    ui.list.scrollTop = 0;
    draw();
  }

  // On a small screen the filters are folded away, so that the first suspect is in view.
  function filters(classes, again) {
    return h("details", { class: "rv-filters-box", open: !window.matchMedia("(max-width: 640px), (max-height: 760px)").matches },
      h("summary", {}, "Find and arrange"),
      h("div", { class: "rv-filters" },
        h("label", {}, h("span", {}, "Find"), ui.text),
        select("label", "Given label", [option("", "any"), ...classes]),
        select("suggested", "Suggested label", [option("", "any"), ...again]),
        select("state", "State", [option("", "any"), option("open", "to review"), ...Decisions.KINDS.map((k) => option(k, WORDS[k])), ...(server ? [option("disputed", "reviewers disagree")] : [])]),
        select("order", "Arrange", [option("rank", "by rank"), option("pairs", "confused pairs together"), ...Arrange.SORTED.map(([value, title]) => option(value, title)),
          ...(data.groups.length ? [option("alike", "look-alikes together")] : [])]),
        h("button", { type: "button", class: "quiet-button", onclick: () => filterBy(ANY) }, "Clear")));
  }

  const keyed = (keys) => keys.map(([key, what]) => h("span", {}, h("kbd", {}, key), " " + what));

  // Drawn items show no suggestion that could be taken.
  function howTo() {
    const other = sampling() ? [["C", "another class is right"]] : [["R", "take the suggestion"], ["1–3", "take that class"], ["C", "another class"]];
    return [h("b", {}, `Press one key per ${one}. The next appears by itself.`), h("b", { class: "rv-touch" }, `Tap once per ${one}. The next appears by itself.`),
      ...keyed([["K", "the label is right"], ...other, ["D", `drop the ${one}`], ["U", "cannot tell"], ["Z", "undo"]])];
  }

  function keyHelp() {
    const toggle = h("input", { type: "checkbox", checked: true, onchange: () => { keysOn = toggle.checked; } });
    return [h("label", {}, toggle, " Keyboard shortcuts on"), ...keyed([["N", "next"], ["P", "previous"], ...(data.noun.kind === "image" ? [["F", "enlarge"]] : []), ["X", "select several and decide at once"]])];
  }

  // --- the list ------------------------------------------------------------------------------------------------

  function refilter(keep) {
    const row = keep ?? currentRow();
    const found = shownRows();
    keepSelected(found);
    view.items = Arrange.list(found, sampling() ? "rank" : view.filters.order, data, table);
    const at = view.items.indexOf(row);
    view.current = at >= 0 ? at : Math.max(0, Math.min(view.current, view.items.length - 1));
    if (typeof view.items[view.current] === "object") view.current += 1;
    ui.sheet.style.height = `${view.items.length * ROW}px`;
    const n = view.items.filter((item) => typeof item === "number").length;
    if (sampling()) ui.shown.textContent = `${items(n)} drawn at random`;
    else ui.shown.textContent = n === table.count ? `${plural(n, "suspect")}` : `${n.toLocaleString("en")} of ${plural(table.count, "suspect")}`;
  }

  // What a filter hides is not selected any more, so that no key decides about items that nobody sees.
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

  function rowNode(item, at) {
    const decision = decisions.get(item);
    const now = at === view.current;
    const box = h("input", { type: "checkbox", "aria-label": `Select suspect ${item + 1}`, tabindex: now ? "0" : "-1", onclick: (event) => tick(item, event) });
    box.checked = selected.has(item);
    const button = h("button", { type: "button", class: "rv-open", tabindex: now ? "0" : "-1", "aria-current": now ? "true" : null, onclick: () => show(at) },
      data.pictures[table.row(item)] !== undefined || data.noun.kind === "image" ? h("span", { class: "rv-thumb" }, picture(table.row(item), "")) : null,
      h("span", { class: "rv-words" }, rowWords(item, at)),
      decision ? badge(decision.decision, WORDS[decision.decision]) : null);
    // Each item of the sample is looked at alone.
    return h("li", { class: "rv-row" + (now ? " is-current" : "") + (decision ? " is-done" : ""), "data-item": at }, sampling() ? null : box, button);
  }

  function rowWords(item, at) {
    const p = table.probability(item);
    const suggestion = blind(item) ? null : table.suggestion(item);
    const title = sampling() ? `Look ${at + 1}: ` : `Suspect ${item + 1}: `;
    const worth = p === null || !telling ? `suspicion ${signed(data.suspicion[table.row(item)])}` : `${percent(p)} wrong`;
    return [
      data.noun.kind === "image" ? null : h("bdi", { class: "rv-line", dir: "auto" }, excerpt.line(table.row(item), table.path(item))),
      h("span", {}, h("span", { class: "visually-hidden" }, title), named(table.label(item)), suggestion === null ? null : [" → ", named(suggestion)]),
      h("span", { class: "quiet" }, sampling() ? `${at + 1}` : `${item + 1} · ${worth}`),
    ];
  }

  function reveal() {
    const top = view.current * ROW;
    const low = ui.list.scrollTop;
    if (top < low + ROW || top > low + ui.list.clientHeight - 2 * ROW) {
      ui.list.scrollTop = Math.max(0, top - ui.list.clientHeight / 3);
    }
  }

  function show(at) {
    moved = true;
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

  // --- selection -----------------------------------------------------------------------------------------------

  function tick(row, event) {
    if (sampling()) return;
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
      h("p", {}, h("b", {}, `${selected.size.toLocaleString("en")} selected.`), ` Keys and buttons apply to all of them, and to no other ${one}.`),
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
    const chosen = targets().filter((item) => isOpen(item) || table.how(item) !== "known-wrong");
    if (!chosen.length && targets().length) say("The first answer about this label stands. Undo takes it back.");
    const bySuggestion = decision === "relabel" && label === null;
    const rowList = bySuggestion ? chosen.filter((item) => !blind(item) && table.suggestion(item) !== null) : chosen;
    if (!rowList.length) {
      if (chosen.length) openChooser();
      return;
    }
    if (label !== null && rowList.every((row) => table.label(row) === label)) return decide("keep");
    decisions.decide(rowList.map((row) => {
      const to = decision === "relabel" ? (label ?? table.suggestion(row)) : null;
      return to === table.label(row) ? [row, "keep", null] : [row, decision, to];
    }), sampling());
    const what = rowList.length > 1 ? items(rowList.length) : nameOf(rowList[0]);
    const to = decision === "relabel" ? ` to ${shown(label ?? (rowList.length > 1 ? "the suggestions" : table.suggestion(rowList[0])))}` : "";
    const rest = chosen.length > rowList.length ? ` Still selected, as they have no suggestion: ${chosen.length - rowList.length}.` : "";
    say(`${decision === "unsure" ? "Left as unsure" : WORDS[decision][0].toUpperCase() + WORDS[decision].slice(1)}: ${what}${to}.${rest}`, { decided: true });
    rowList.forEach((row) => selected.delete(row));
    drawSelection();
    afterDecision();
  }

  // The class that a button or a digit of the card names, for everything that keys apply to.
  const decideClass = (name) => name !== null && decide("relabel", name);

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
    if (sampling() !== table.sample.includes(rowList[0]) && (sampling() || rowList[0] >= table.all)) changeQueue(sampling() ? "rank" : "sample");
    refilter(rowList[0]);
    say(`Undone: ${rowList.length > 1 ? items(rowList.length) : nameOf(rowList[0])}.`, { short: true });
    draw();
  }

  // A path may tell the label, so the sample does without.
  function nameOf(item) {
    const place = sampling() ? table.sample.indexOf(item) : -1;
    return place >= 0 ? `look ${place + 1}` : shown(table.path(item));
  }

  const say = (text, how) => ui.toast.say(text, how);

  // --- the card ------------------------------------------------------------------------------------------------

  function drawCard() {
    const item = currentRow();
    if (item === null) ui.card.none(table.count ? "No suspect matches the filters." : `This audit ranked no ${one}.`);
    else ui.card.draw(item, placeOf(item), selected.size);
    fetchAhead();
    drawAround();
  }

  // What follows the open item and the filters.
  function drawAround() {
    ui.similar.draw();
    ui.classpage.draw(sampling() || view.filters.label === "" ? -1 : Number(view.filters.label));
    if (!sampling()) ui.explore.draw();
    if (ui.address) ui.address.write();
  }

  // Opens a row of the ranking. A filter that hides it is taken away.
  function showRow(row) {
    if (!view.items.includes(row)) filterBy(ANY);
    show(view.items.indexOf(row));
  }

  // --- the address ---------------------------------------------------------------------------------------------

  const CLASSES = ["label", "suggested"];

  // The sample's address names no path: it may tell the label. Classes have their names there, so that it stays true.
  function addressed() {
    if (sampling()) return { queue: "sample" };
    const changed = Object.entries(view.filters).filter(([name, value]) => value !== ANY[name]);
    const chosen = changed.map(([name, value]) => [name, CLASSES.includes(name) ? data.classes[Number(value)] : value]);
    return { ...Object.fromEntries(chosen), open: moved && currentRow() !== null ? table.path(currentRow()) : "" };
  }

  // What an address says may be anything: what nobody can choose here is left out.
  function goTo(wanted) {
    const queue = wanted.queue === "sample" && table.sample.length ? "sample" : "rank";
    if (queue !== view.queue) changeQueue(queue);
    const found = { ...ANY };
    for (const name of Object.keys(ANY)) {
      if (wanted[name] === undefined) continue;
      const value = CLASSES.includes(name) ? String(data.classes.indexOf(wanted[name])) : wanted[name];
      const known = ui[name]?.options ? [...ui[name].options].some((o) => o.value === value) : name !== "min" || Number.isFinite(Number(value));
      if (known) found[name] = value;
    }
    if (!sampling()) filterBy(found, true);
    const row = table.find(wanted.open);
    const at = row === undefined ? -1 : view.items.indexOf(row);
    if (at >= 0 && !sampling()) show(at);
    document.getElementById("review").scrollIntoView();
  }

  function placeOf(item) {
    if (sampling()) return `Look ${(view.current + 1).toLocaleString("en")} of ${table.sample.length.toLocaleString("en")}`;
    return `Suspect ${(item + 1).toLocaleString("en")} of ${table.count.toLocaleString("en")}`;
  }

  function openChooser() {
    if (targets().length) ui.chooser.open();
  }

  // --- filters, keys, files ------------------------------------------------------------------------------------

  // With `fromTop` the first suspect of the new list comes next. Otherwise the current one stays, if it is listed.
  function filterBy(wanted, fromTop = false) {
    view.filters = wanted;
    for (const name of Object.keys(wanted)) if (ui[name]?.value !== undefined) ui[name].value = wanted[name];
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

  // Keys act only while the current picture is in view and nobody is typing, so that no key decides about an unseen item. Where
  // only the rest of the tool is in view, the first key brings the card.
  function onKey(event) {
    if (!keysOn || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || ui.chooser.dialog.open || ui.zoom.dialog.open || ui.similar.dialog.open) return;
    // A closed chooser keeps the focus until the next frame. A quick key must not be lost to it.
    const typing = event.target.closest("input:not([type=checkbox]), textarea");
    if (typing && typing !== ui.chooser.find) return;
    if (event.target.closest("select") && !keyOfReview(event)) return;
    const moves = { n: () => step(1), p: () => step(-1), j: () => step(1) };
    const acts = {
      k: () => decide("keep"), r: () => decide("relabel"), c: openChooser, d: () => decide("drop"), u: () => decide("unsure"), z: undo,
      x: () => currentRow() !== null && tick(currentRow(), {}), Escape: unpick,
      ...Object.fromEntries(["1", "2", "3"].map((digit) => [digit, () => currentRow() !== null && decideClass(ui.card.nameOf(currentRow(), digit))])),
      f: () => ui.card.element.querySelector(".rv-enlarge")?.click(),
    };
    const inList = event.target.closest(".rv-list");
    if (inList) Object.assign(moves, { ArrowDown: () => step(1), ArrowUp: () => step(-1) });
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const act = moves[key] ?? acts[key];
    if (!act || !inView(app)) return;
    event.preventDefault();
    if (event.repeat && !moves[key]) return; // a key held down decides once, not about items that nobody has seen
    if (seen()) act();
    else ui.card.element.scrollIntoView({ block: window.innerHeight > ui.card.element.offsetHeight + 80 ? "center" : "start" });
  }

  // Whether at least half of the current picture can be seen below the bar.
  function seen() {
    const box = (ui.card.element.querySelector(".rv-picture") ?? ui.card.element).getBoundingClientRect();
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
    const text = JSON.stringify(decisions.toDocument(reviewer()), null, 1) + "\n";
    const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    const link = h("a", { href: url, download: "decisions.json" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
    say(`Exported ${plural(decisions.size, "decision")}. Next: auditor review apply OUT decisions.json`);
  }

  const reviewer = () => ui.name.value.trim();

  function keptName() {
    try {
      return (window.localStorage.getItem(NAME_KEY) ?? "").slice(0, NAME_LENGTH);
    } catch {
      return "";
    }
  }

  function keepName() {
    try {
      window.localStorage.setItem(NAME_KEY, reviewer());
    } catch {
      warnVolatile();
    }
  }

  async function importFile() {
    const file = ui.file.files[0];
    if (!file) return;
    try {
      const { read, changed, older, reviewer: name } = decisions.fromDocument(await file.text(), reviewer());
      ui.name.value = name.slice(0, NAME_LENGTH);
      keepName();
      say(`Read ${plural(read, "decision")}: ${changed} imported, ${older} left out as older than yours, the rest already the same.`);
    } catch (error) {
      say(`Nothing was imported. ${shown(error.message)}`);
    }
    ui.file.value = "";
    refilter();
    draw();
  }

  // Another window has decided, or with `afresh` another reviewer has come, who begins at the first open suspect.
  function takeChanges(afresh = decisions.size === 0) {
    decisions.load();
    selected.clear(); // some of them may be decided now
    drawSelection();
    refilter();
    const first = nextOpen(0);
    if (afresh && first >= 0) view.current = first;
    draw();
    if (server) drawAgreement();
  }

  // Another reviewer has decided. What this one selected stays.
  function takeOthers() {
    if (view.filters.state === "disputed") refilter();
    drawRows();
    drawCard();
    drawAgreement();
  }

  function drawAgreement() {
    const said = server.agreement.map((a) => [h("b", {}, named(a.reviewer || "a reviewer without a name")), ` on ${a.agreed.toLocaleString("en")} of ${a.both.toLocaleString("en")}`,
      a.kappa === null ? "" : ` (Cohen's kappa ${a.kappa.toFixed(2).replace("-", "−")})`]);
    const n = Array.from({ length: table.count }, (_, row) => row).filter(disputed).length;
    ui.agreement.hidden = !said.length;
    fill(ui.agreement, "You agree with ", said.flatMap((words, at) => (at ? [", with ", ...words] : words)), ".",
      n ? h("button", { type: "button", class: "quiet-button", onclick: () => filterBy({ ...ANY, state: "disputed" }, true) }, `See ${plural(n, "disagreement")}`) : null);
  }

  function drawSaved({ waiting, refused, lost }) {
    ui.saved.classList.toggle("rv-warning", Boolean(refused) || lost);
    if (refused) ui.saved.textContent = `Not saved: ${refused}`;
    else if (lost) ui.saved.textContent = `The server does not answer. ${waiting ? `${plural(waiting, "decision")} ${waiting === 1 ? "waits" : "wait"} in this page. Keep it open, or export your decisions.` : "What you decided before is saved."}`;
    else ui.saved.textContent = waiting ? "Saving." : `Saved by the server as you decide${reviewer() ? ` as ${shown(reviewer())}` : ". Give your name if others review too"}.`;
  }

  // --- drawing everything that decisions change ----------------------------------------------------------------

  function drawProgress() {
    const list = sampling() ? new Set(table.sample) : null;
    const counts = decisions.counts((item) => (list ? list.has(item) : item < table.count));
    const done = Decisions.KINDS.reduce((sum, kind) => sum + counts[kind], 0);
    const all = sampling() ? table.sample.length : table.count;
    const parts = Decisions.KINDS.filter((k) => counts[k]).map((k) => `${counts[k].toLocaleString("en")} ${WORDS[k]}`);
    fill(ui.tally, h("b", {}, `${done.toLocaleString("en")} of ${all.toLocaleString("en")}`), ` ${sampling() ? "looked at" : "reviewed"}${parts.length ? ": " + parts.join(", ") : ""}`);
    ui.progress.max = Math.max(1, all);
    ui.progress.value = done;
    ui.undo.disabled = !decisions.canUndo;
    fill(ui.forecast, ...(sampling() ? sampleWords(all - done) : forecastWords(forecast(decisions))));
    if (ui.queues) drawQueues();
  }

  function drawQueues() {
    ui.queues.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.queue === view.queue)));
    fill(ui.purpose, sampling()
      ? "Drawn at random. Your answers prove how many labels are wrong, whatever kind of errors they are. Suggestions come after your answer."
      : "Most suspicious first: the quickest way to find errors. It cannot prove how many are left. The sample can.");
    fill(ui.how, ...howTo());
    ui.filters.hidden = sampling();
    ui.explore.element.hidden = sampling();
    app.classList.toggle("is-sampling", sampling());
  }

  function sampleWords(left) {
    if (left === 0) return ["The sample is done. Export your decisions and apply them: the certificate says what they prove."];
    return ["Every answer counts in this order. You may stop at any moment: ", h("code", {}, "auditor review certify OUT decisions.json"), " says what your looks prove."];
  }

  function forecastWords(f) {
    if (!f) return ["This audit did not estimate how many errors remain."];
    if (f.left === 0) return ["Every suspect is reviewed. Export your decisions to apply them."];
    const [low, high] = f.interval.map(about);
    const proof = table.sample.length ? " Looks at the sample can tell." : "";
    if (data.cannot_tell) return [`The model cannot tell without looks how many errors are left: between ${low} and ${high}.${proof}`];
    if (f.total < 0.5) return [`The model finds no clear error among the rest, and cannot rule out ${errors(f.interval[1])}. More of this list should find little.${proof}`];
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
  ui.address = Address(addressed, goTo);
  ui.address.follow();
  new ResizeObserver(drawRows).observe(ui.list);
  document.addEventListener("keydown", onKey);
  document.querySelectorAll("details.more").forEach((d) => d.addEventListener("toggle", () => fillPlaces(d), { once: true }));
  document.querySelectorAll("[data-cell]").forEach((b) => b.addEventListener("click", () => filterCell(b.dataset.cell)));
  window.addEventListener("storage", (event) => {
    if (!server && event.key === decisions.key) takeChanges();
  });
  window.addEventListener("beforeunload", (event) => {
    if ((volatile && !server && decisions.size) || server?.waiting) event.preventDefault();
  });
  server?.start(reviewer());
  // On paper nothing can be opened. A hundred further examples stay off it.
  window.addEventListener("beforeprint", () => document.querySelectorAll("details:not(.more)").forEach((d) => { d.open = true; }));
})();
