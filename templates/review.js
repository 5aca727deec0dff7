"use strict";

// The review, put together. Each part has a file of its name. `page` is what the parts know of each other.
(() => {
  const { h, fill } = Dom;
  const data = JSON.parse(document.getElementById("audit-data").textContent);
  const app = document.getElementById("review-app");
  const table = Decisions.rows(data);
  const page = {
    data,
    app,
    table,
    noun: data.noun,
    excerpt: Excerpt(data),
    WORDS: { keep: "kept", relabel: "relabelled", drop: "dropped", unsure: "unsure" },
    // Whether any probability reaches half a percent, and the model can tell how many labels are wrong at all.
    telling: !data.cannot_tell && data.p !== null && data.p.some((p) => p >= 50),
    items: (n) => `${n.toLocaleString("en")} ${n === 1 ? data.noun.one : data.noun.many}`,
    isOpen: (item) => !page.decisions.get(item),
    blind: (item) => page.queue.sampling() && page.isOpen(item),
    warnVolatile,
    refilter,
    filterBy,
    changeQueue,
    show,
    step,
    draw,
    drawItem,
  };
  const volatile = h("p", { id: "rv-volatile", class: "rv-warning", hidden: true }, "This browser does not keep decisions for this page. Export them before you close it.");

  // A server keeps the decisions where one shows the page. Else the browser does.
  page.server = data.served ? Remote(data, { changed: takeChanges, others: takeOthers, state: (how) => page.reviewers.drawSaved(how) }) : null;
  page.decisions = Decisions.store(data, page.server ?? browserStorage(), warnVolatile);
  page.queue = Queue(page);
  page.toast = Toast(() => page.deciding.undo());
  page.selection = Selection(page);
  page.deciding = Deciding(page);
  page.keys = Keys(page);
  page.pictures = Pictures(page);
  page.reviewers = Reviewers(page);
  page.progress = Progress(page);
  page.tabs = Tabs(page);
  page.filters = Filters(page);
  page.listing = Listing(page);
  page.transfer = Transfer(page);
  page.explore = Explore(page);
  page.classpage = ClassPage(data, table, listPair);
  page.similar = Similar(page);
  page.card = Card(page);
  page.dialogs = [page.deciding.dialog, page.pictures.dialog, page.similar.dialog];
  const undo = h("button", { type: "button", class: "quiet-button", onclick: page.deciding.undo, "aria-keyshortcuts": "z" }, "Undo ", h("kbd", {}, "Z"));
  const how = h("p", { class: "rv-how" });

  function browserStorage() {
    try {
      return window.localStorage;
    } catch {
      return null;
    }
  }

  function warnVolatile() {
    volatile.hidden = false;
  }

  function build() {
    const { server, reviewers } = page;
    const side = h("div", { class: "rv-side" }, h("div", { class: "rv-tools" }, undo, page.transfer.buttons), ...(server ? [reviewers.label, reviewers.saved, reviewers.agreement] : []));
    fill(app,
      page.tabs.element,
      h("div", { class: "rv-top" }, page.progress.element, side),
      volatile,
      page.explore.element,
      h("div", { class: "rv-body" },
        h("div", { class: "rv-queue" }, page.filters.element, page.classpage.element, page.listing.count, page.listing.element, page.similar.element, page.selection.element),
        h("div", {}, page.card.element)),
      how,
      server ? null : h("p", {}, reviewers.label),
      page.keys.help);
    app.append(...page.dialogs, page.toast.element);
  }

  // --- what is listed and open ---------------------------------------------------------------------------------

  // Lists anew. The item `keep` stays open, or without it the open one.
  function refilter(keep) {
    page.selection.keep(page.queue.list(keep));
    page.listing.fit();
  }

  // With `fromTop` the first suspect of the new list comes next. Otherwise the current one stays, if it is listed.
  function filterBy(wanted, fromTop = false) {
    page.queue.filter(wanted);
    page.filters.set(wanted);
    if (fromTop) page.queue.go(0);
    refilter(fromTop ? -1 : undefined);
    draw();
  }

  function listPair(label, suggested) {
    filterBy({ ...page.queue.ANY, label: String(label), suggested: String(suggested) }, true);
  }

  // A cell of the table of confusions lists what it counts.
  function listCell(cell) {
    page.filters.element.open = true;
    listPair(...cell.split(":"));
    document.getElementById("review").scrollIntoView();
    page.listing.focus();
  }

  function changeQueue(name) {
    page.queue.change(name);
    page.selection.drop();
    refilter(-1);
    page.queue.goToOpen();
    page.listing.toTop();
    draw();
  }

  function show(at) {
    page.queue.go(at, true);
    page.listing.reveal();
    drawItem();
  }

  function step(by) {
    const at = page.queue.place(by);
    if (at >= 0) show(at);
  }

  // --- what others decide --------------------------------------------------------------------------------------

  // Another window has decided, or with `afresh` another reviewer has come, who begins at the first open suspect.
  function takeChanges(afresh = page.decisions.size === 0) {
    page.decisions.load();
    page.selection.drop(); // some of them may be decided now
    refilter();
    if (afresh) page.queue.goToOpen();
    draw();
    if (page.server) page.reviewers.drawAgreement();
  }

  // Another reviewer has decided. What this one selected stays.
  function takeOthers() {
    if (page.queue.filters.state === "disputed") refilter();
    drawItem();
    page.reviewers.drawAgreement();
  }

  // --- drawing -------------------------------------------------------------------------------------------------

  // Everything that decisions change.
  function draw() {
    const sampling = page.queue.sampling();
    page.progress.draw();
    page.tabs.draw();
    undo.disabled = !page.decisions.canUndo;
    fill(how, ...page.keys.howTo());
    page.filters.element.hidden = sampling;
    page.explore.element.hidden = sampling;
    app.classList.toggle("is-sampling", sampling);
    page.listing.reveal();
    drawItem();
  }

  // The list and the open item, and what follows them.
  function drawItem() {
    const { queue } = page;
    const item = queue.open();
    page.listing.draw();
    if (item === null) page.card.none(table.count ? "No suspect matches the filters." : `This audit ranked no ${data.noun.one}.`);
    else page.card.draw(item, placeOf(item), page.selection.size);
    page.pictures.fetchAhead();
    page.similar.draw();
    page.classpage.draw(queue.sampling() || queue.filters.label === "" ? -1 : Number(queue.filters.label));
    if (!queue.sampling()) page.explore.draw();
    page.address?.write();
  }

  function placeOf(item) {
    const [name, at, all] = page.queue.sampling() ? ["Look", page.queue.current, table.sample.length] : ["Suspect", item, table.count];
    return `${name} ${(at + 1).toLocaleString("en")} of ${all.toLocaleString("en")}`;
  }

  function listen() {
    new ResizeObserver(page.listing.draw).observe(page.listing.element);
    document.addEventListener("keydown", page.keys.onKey);
    document.querySelectorAll("details.more").forEach((d) => d.addEventListener("toggle", () => page.pictures.fillPlaces(d), { once: true }));
    document.querySelectorAll("[data-cell]").forEach((b) => b.addEventListener("click", () => listCell(b.dataset.cell)));
    window.addEventListener("storage", (event) => {
      if (!page.server && event.key === page.decisions.key) takeChanges();
    });
    window.addEventListener("beforeunload", (event) => {
      if ((!volatile.hidden && !page.server && page.decisions.size) || page.server?.waiting) event.preventDefault();
    });
    // On paper nothing can be opened. A hundred further examples stay off it.
    window.addEventListener("beforeprint", () => document.querySelectorAll("details:not(.more)").forEach((d) => { d.open = true; }));
  }

  build();
  document.documentElement.classList.add("has-review");
  app.hidden = false;
  refilter();
  page.queue.goToOpen();
  draw();
  page.address = Address(page);
  page.address.follow();
  listen();
  page.server?.start(page.reviewers.name());
})();
