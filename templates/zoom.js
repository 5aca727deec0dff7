"use strict";

// The dialog that shows one item as large as the window, and larger. `act` gets the letters that decide.
function Zoom(act) {
  const { h, fill } = Dom;
  const STEPS = [1, 1.5, 2, 3, 4, 6, 8];
  const stage = h("div", { class: "rv-stage", tabindex: "0", role: "region", "aria-label": "Enlarged" });
  const size = h("span", { class: "quiet", role: "status" });
  const tool = (title, name, key, onclick) => h("button", { type: "button", class: "quiet-button", "aria-keyshortcuts": key, onclick }, h("span", { "aria-hidden": "true" }, title), h("span", { class: "visually-hidden" }, name));
  const close = h("button", { type: "button", class: "quiet-button", onclick: () => dialog.close() }, "Close ", h("kbd", {}, "Esc"));
  const dialog = h("dialog", { class: "rv-zoom", "aria-label": "Enlarged", onkeydown: onKey },
    h("div", { class: "rv-zoom-bar" }, size, tool("−", "Smaller", "-", () => step(-1)), tool("+", "Larger", "+", () => step(1)), close), stage);
  let image = null;
  let scale = 0;

  // `picture` is an img element of its own; `words` say what the reader should know of it.
  function open(picture, words = "") {
    image = picture;
    image.addEventListener("click", () => (scale === 0 ? step(2) : fit()));
    image.addEventListener("load", draw);
    fill(stage, image, words ? h("p", { class: "quiet" }, words) : null);
    scale = 0;
    dialog.showModal();
    draw();
    stage.focus();
  }

  function fit() {
    scale = 0;
    draw();
  }

  function step(by) {
    scale = Math.max(0, Math.min(STEPS.length - 1, scale + by));
    draw();
  }

  // At first all of the picture is in view. Each step enlarges that, and the stage scrolls.
  function draw() {
    image.style.width = `${STEPS[scale] * 100}%`;
    image.style.height = `${STEPS[scale] * 100}%`;
    size.textContent = image.naturalWidth ? `${image.naturalWidth} × ${image.naturalHeight} pixels` : "";
    const [x, y] = [stage.scrollWidth - stage.clientWidth, stage.scrollHeight - stage.clientHeight];
    stage.scrollTo(x / 2, y / 2);
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key === "+" || key === "=") step(1);
    else if (key === "-") step(-1);
    else if (key === "f") dialog.close();
    else if (/^[a-z1-3]$/.test(key) && !event.repeat) {
      // The item is in view here, so keys may decide about it.
      dialog.close();
      act(event);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  return { dialog, open };
}
