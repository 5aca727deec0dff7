"use strict";

// The card of one item. A drawn item is shown without
// suggestion, probability, neighbours, rank and path until it has a first answer: they would lead the reviewer.
function Card(page) {
  const { h, fill, shown, named, about, percent, signed, badge } = Dom;
  const { data, table, decisions, noun } = page;
  const settled = new Set(data.settled);
  const likeliest = Likeliest(data, table);
  const element = h("article", { class: "rv-card", "aria-label": "Current suspect" });

  // The row whose reasons explain the item. A label made wrong has none.
  const explained = (item) => (table.how(item) === "known-wrong" ? -1 : table.row(item));

  function none(words) {
    fill(element, h("p", { class: "rv-none" }, words));
  }

  // `place` says where the item stands in its list. `selected` counts the items that keys apply to.
  function draw(item, place, selected) {
    const decision = decisions.get(item);
    const blind = page.blind(item);
    const suggestion = blind ? null : table.suggestion(item);
    const pressed = element.contains(document.activeElement) ? document.activeElement.dataset.act : null;
    const title = page.queue.sampling() ? `${noun.one[0].toUpperCase()}${noun.one.slice(1)} to judge, labelled ${shown(table.label(item))}` : `${place.split(" of")[0]}, labelled ${shown(table.label(item))}`;
    fill(element,
      h("div", { class: "rv-picture", onclick: (event) => event.target.tagName === "IMG" && page.pictures.openLarge(table.row(item), title) },
        page.pictures.whole(table.row(item), title), page.pictures.enlarge(table.row(item), title)),
      h("div", { class: "rv-about" },
        h("p", { class: "rv-place quiet" }, place,
          decision ? badge(decision.decision, page.WORDS[decision.decision], decision.new_label === null ? null : [" to ", named(decision.new_label)]) : null,
          selected ? h("span", { class: "badge warn" }, `Keys apply to the ${selected.toLocaleString("en")} selected`) : null),
        h("dl", { class: "rv-labels" },
          h("div", {}, h("dt", {}, page.queue.sampling() ? "Is this label right?" : "Given label"), h("dd", {}, named(table.label(item)))),
          blind ? null : h("div", {}, h("dt", {}, "Suggested"), h("dd", { class: "wrong" }, suggestion === null ? h("span", { class: "quiet" }, "none") : named(suggestion)))),
        blind ? h("p", { class: "quiet" }, "The suggestion comes after your answer.") : probabilityWords(item, suggestion),
        othersWords(item)),
      actions(item, blind),
      blind ? null : facts(item),
      blind ? null : why(item));
    if (pressed) element.querySelector(`[data-act="${pressed}"]`)?.focus({ preventScroll: true });
  }

  // What other reviewers say, once this one has answered.
  function othersWords(item) {
    const others = decisions.get(item) && table.how(item) !== "known-wrong" ? page.reviewers.others(table.path(item)) : [];
    if (!others.length) return null;
    return h("p", { class: "rv-others" }, others.flatMap((other, at) => [
      at ? ", " : "", h("b", {}, named(other.reviewer || "A reviewer without a name")), `: ${page.WORDS[other.decision]}`, other.new_label === null ? null : [" to ", named(other.new_label)]]));
  }

  function facts(item) {
    const row = table.row(item);
    return h("p", { class: "rv-facts quiet" }, `suspicion ${signed(data.suspicion[row])} · average influence ${signed(data.influence[row])}`, h("br"), h("bdi", {}, page.pictures.original(row) ? h("a", { href: page.pictures.original(row), target: "_blank", rel: "noopener" }, shown(table.path(item))) : shown(table.path(item))));
  }

  function probabilityWords(item, suggestion) {
    if (table.how(item) === "known-wrong") return h("p", {}, "We showed a wrong label on purpose, to measure what reviewers miss. Your data stay as they are.");
    const p = table.probability(item);
    if (settled.has(explained(item))) return h("p", {}, `The trusted reference contains this ${noun.one} with the label `, named(suggestion), ".");
    if (p === null) return h("p", { class: "quiet" }, "No probability was estimated.");
    if (data.cannot_tell) return h("p", { class: "quiet" }, `The model alone says ${percent(p)} wrong. It cannot tell without looks how many labels are wrong.`);
    return h("p", {}, h("b", {}, percent(p)), " likely that the given label is wrong", page.telling ? null : expectsNone());
  }

  // Said beside an estimate near zero: it tells little about one item while its interval is wide.
  function expectsNone() {
    const most = data.count?.interval?.[1];
    return h("span", { class: "quiet" }, ", as far as the model can see. It finds no clear error" + (most ? `, and cannot rule out ${about(most)}.` : "."));
  }

  // Before the first answer about a drawn item no class but the one to judge is named.
  function actions(item, blind) {
    const classes = blind ? [{ name: table.label(item), p: null, key: null, role: "keep" }] : likely(item);
    const plain = (act, key, text, onclick) => h("button", { type: "button", "aria-keyshortcuts": key.toLowerCase(), "data-act": act, onclick }, h("span", {}, text), h("kbd", {}, key));
    return h("div", { class: "rv-actions" + (blind ? " is-blind" : "") },
      h("div", { class: "rv-likeliest" }, classes.map((one) => classButton(item, one))),
      h("div", { class: "rv-others-acts" },
        plain("choose", "C", blind ? "Wrong: another class" : "Another class", page.deciding.choose),
        action(item, "drop", "D", "Drop"), action(item, "unsure", "U", "Unsure"), plain("next", "N", "Next", () => page.step(1))));
  }

  const likely = (item) => likeliest.of(item, settled.has(explained(item)));

  const LETTERS = { keep: "K", relabel: "R" };

  // A class with its probability. It is pressed where the decision that stands says it.
  function classButton(item, { name, p, key, role }) {
    const decision = decisions.get(item);
    const pressed = role === "keep" ? decision?.decision === "keep" : decision?.decision === "relabel" && decision.new_label === name;
    const keys = [key, LETTERS[role]].filter(Boolean);
    const note = { keep: "Keep ", relabel: "Relabel to ", class: "Relabel to " }[role];
    return h("button", { type: "button", class: `act-${role}`, style: `--p:${((p ?? 0) * 100).toFixed(1)}%`, "aria-pressed": String(pressed), "aria-keyshortcuts": keys.join(" ").toLowerCase(), "data-act": role === "class" ? `class-${key}` : role, onclick: () => page.deciding.decideClass(name) },
      h("span", { class: "rv-class" }, h("span", { class: "rv-verb" }, note), named(name)),
      p === null ? null : h("span", { class: "rv-p" }, h("span", { class: "visually-hidden" }, "likely: "), percent(p)), keys.map((one) => h("kbd", {}, one)));
  }

  function action(item, decision, key, text) {
    const pressed = decisions.get(item)?.decision === decision;
    return h("button", { type: "button", class: `act-${decision}`, "aria-pressed": String(pressed), "aria-keyshortcuts": key.toLowerCase(), "data-act": decision, onclick: () => page.deciding.decide(decision) }, h("span", {}, text), h("kbd", {}, key));
  }

  // The name behind a digit; null where the card has none.
  function nameOf(item, key) {
    return page.blind(item) ? null : likely(item).find((one) => one.key === key)?.name ?? null;
  }

  let unfolded = false;

  // Percent with the digits in which one item more or less shows.
  const fine = (p) => `${(100 * p).toFixed(2)}%`;

  function why(item) {
    const [against, favour, neighbours, leftOut] = data.why[explained(item)] ?? [[], [], [], null];
    const strip = (title, kind, entries, text) => entries.length === 0 ? null
      : h("div", { class: "strip" }, h("h3", { class: "strip-title " + kind }, h("span", {}, title)), h("div", { class: "shots small" }, entries.map(([other, value, without]) =>
        h("figure", { class: "shot" }, page.pictures.small(other, `Labelled ${shown(table.label(other))}`),
          h("figcaption", {}, h("b", {}, named(table.label(other))), text ? h("span", { class: "quiet" }, " " + text(value, without)) : null)))));
    if (!against.length && !favour.length && !neighbours.length) return null;
    // What the item looks like stands side by side: the nearest of its given label, and the nearest of all others.
    const own = table.label(item);
    const alike = (wanted) => neighbours.filter(([other]) => (table.label(other) === own) === wanted);
    const near = (kind, entries, words) => strip(words, kind, entries, (value) => `similarity ${value.toFixed(2)}`);
    const changed = (_, without) => without === null ? "" : `${fine(without)} without it`;
    const others = new Set(alike(false).map(([other]) => table.label(other)));
    return h("div", { class: "rv-why" },
      h("div", { class: "strips" },
        near("", alike(true), ["Nearest labelled ", named(own)]),
        near("low", alike(false), others.size === 1 ? ["Nearest labelled ", named([...others][0])] : ["Nearest with another label"])),
      !against.length && !favour.length ? null : h("details", { class: "rv-speaking", open: unfolded, ontoggle: (event) => { unfolded = event.target.open; } },
        h("summary", {}, "What speaks for ", named(own), ", and what speaks against it"),
        leftOut === null ? null : h("p", { class: "quiet" }, `A head that did not learn from this ${noun.one} gives `, named(own), ` ${fine(leftOut)}. Below each ${noun.one}: what it gives if it has not learnt from that one either.`),
        h("div", { class: "strips" },
          strip([`Training ${noun.many} that speak for `, named(own)], "", favour, changed),
          strip([`Training ${noun.many} that speak against `, named(own)], "low", against, changed))));
  }

  return { element, draw, none, nameOf };
}
