"use strict";

// The keys of the review, and the lines that name them.
function Keys(page) {
  const { h } = Dom;
  const { queue, deciding, selection, noun } = page;
  const BAR = 50; // pixels of the bar at the top
  const EDGE = 80; // pixels of the tool that must be in view
  const named = (keys) => keys.map(([key, what]) => h("span", {}, h("kbd", {}, key), " " + what));
  const toggle = h("input", { type: "checkbox", checked: true });
  const help = h("p", { class: "rv-keys" }, h("label", {}, toggle, " Keyboard shortcuts on"),
    ...named([["N", "next"], ["P", "previous"], ...(noun.kind === "image" ? [["F", "enlarge"]] : []), ["X", "select several and decide at once"]]));

  // How to decide. Drawn items show no suggestion that could be taken.
  function howTo() {
    const other = queue.sampling() ? [["C", "another class is right"]] : [["R", "take the suggestion"], ["1–3", "take that class"], ["C", "another class"]];
    return [h("b", {}, `Press one key per ${noun.one}. The next appears by itself.`), h("b", { class: "rv-touch" }, `Tap once per ${noun.one}. The next appears by itself.`),
      ...named([["K", "the label is right"], ...other, ["D", `drop the ${noun.one}`], ["U", "cannot tell"], ["Z", "undo"]])];
  }

  const moves = { n: () => page.step(1), p: () => page.step(-1), j: () => page.step(1) };
  const arrows = { ArrowDown: moves.n, ArrowUp: moves.p };
  const acts = {
    k: () => deciding.decide("keep"), r: () => deciding.decide("relabel"), d: () => deciding.decide("drop"), u: () => deciding.decide("unsure"),
    c: deciding.choose, z: deciding.undo,
    ...Object.fromEntries(["1", "2", "3"].map((digit) => [digit, () => deciding.decideDigit(digit)])),
    x: () => queue.open() !== null && selection.tick(queue.open(), {}), Escape: selection.cancel,
    f: () => page.card.element.querySelector(".rv-enlarge")?.click(),
  };

  // Keys act only while the current picture is in view and nobody is typing, so that no key decides about an unseen item.
  // Where only the rest of the tool is in view, the first key brings the card.
  function onKey(event) {
    if (!toggle.checked || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || page.dialogs.some((dialog) => dialog.open)) return;
    // A closed chooser keeps the focus until the next frame. A quick key must not be lost to it.
    const typing = event.target.closest("input:not([type=checkbox]), textarea");
    if (typing && typing !== deciding.typing) return;
    if (event.target.closest("select") && !keyOfReview(event)) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const move = moves[key] ?? (event.target.closest(".rv-list") ? arrows[key] : undefined);
    const act = move ?? acts[key];
    if (!act || !inView(page.app)) return;
    event.preventDefault();
    if (event.repeat && !move) return; // a key held down decides once, not about items that nobody has seen
    if (seen()) act();
    else page.card.element.scrollIntoView({ block: window.innerHeight > page.card.element.offsetHeight + EDGE ? "center" : "start" });
  }

  function inView(element) {
    const box = element.getBoundingClientRect();
    return box.bottom > EDGE && box.top < window.innerHeight - EDGE;
  }

  // Whether at least half of the current picture can be seen below the bar.
  function seen() {
    const box = (page.card.element.querySelector(".rv-picture") ?? page.card.element).getBoundingClientRect();
    const visible = Math.min(box.bottom, window.innerHeight) - Math.max(box.top, BAR);
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
    page.listing.focus();
  }

  return { help, howTo, onKey, leave };
}
