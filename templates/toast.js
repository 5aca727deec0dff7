"use strict";

// What the last key or button did, at the edge of the window, with the way back. What a decision did goes away by itself.
function Toast(undo) {
  const { h } = Dom;
  const SECONDS = 8;
  const said = h("p", { class: "rv-said", role: "status" });
  const back = h("button", { type: "button", class: "quiet-button", hidden: true, onclick: undo }, "Undo ", h("kbd", {}, "Z"));
  const close = h("button", { type: "button", class: "quiet-button rv-close", onclick: hide }, h("span", { "aria-hidden": "true" }, "×"), h("span", { class: "visually-hidden" }, "Close this message"));
  const element = h("div", { class: "rv-toast", onpointerenter: stay, onfocusin: stay }, said, back, close);
  let timer = null;

  // `decided`: undo takes back what is said here. `short` messages go away.
  function say(text, { decided = false, short = decided } = {}) {
    said.textContent = text;
    back.hidden = !decided;
    element.classList.add("is-here");
    stay();
    if (short) timer = setTimeout(hide, SECONDS * 1000);
  }

  function stay() {
    clearTimeout(timer);
  }

  function hide() {
    stay();
    element.classList.remove("is-here");
  }

  return { element, say };
}
