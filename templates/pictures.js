"use strict";

// How an item is seen: its picture, small in the file or whole from a server, its original beside the page, or its text.
function Pictures(page) {
  const { h, fill } = Dom;
  const { data, table, excerpt, server } = page;
  const AHEAD = 3; // items whose pictures are fetched before a person comes to them
  const absent = new Set(data.files?.absent ?? []);
  const zoom = Zoom((event) => page.keys.onKey(event));

  function small(row, alt) {
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
    if (!server) return small(row, title);
    const large = full(row, title);
    large.addEventListener("error", async () => {
      const { status, words } = await server.ask(server.item(row));
      large.replaceWith(small(row, title), h("p", { class: "quiet rv-lacks" }, status >= 400 ? words.trim() : "This is the small picture: the server did not give the whole one."));
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

  // The address of a row's file, where it lies beside this page. It is relative, and no name can change where it leads.
  function original(row) {
    if (!data.files || server || absent.has(row)) return null;
    return "./" + (data.files.base + table.path(row)).split("/").map(encodeURIComponent).join("/");
  }

  function openLarge(row, title) {
    const here = page.card.element.querySelector(".rv-picture img");
    if (server && here?.src.endsWith(server.item(row))) return zoom.open(full(row, title));
    zoom.open(small(row, title), server ? "" : original(row) && !page.blind(page.queue.open()) ? h("span", {}, "This is a small picture. ", h("a", { href: original(row), target: "_blank", rel: "noopener" }, "Open the whole one")) : "This file holds a small picture. The whole one is shown by: auditor review serve OUT");
  }

  // The next pictures are on their way while a person looks at this one.
  function fetchAhead() {
    if (!server) return;
    const { items, current } = page.queue;
    for (const item of items.slice(current + 1, current + 1 + AHEAD)) {
      if (typeof item === "number" && pictured(table.row(item))) new Image().src = server.item(table.row(item));
    }
  }

  // Further examples keep places for their pictures. The data has each picture once, and this puts them there.
  function fillPlaces(opened) {
    for (const place of opened.querySelectorAll("[data-row]")) {
      const found = small(Number(place.dataset.row), place.getAttribute("aria-label"));
      found.title = place.title;
      place.replaceWith(found);
    }
  }

  return { dialog: zoom.dialog, small, whole, enlarge, openLarge, original, fetchAhead, fillPlaces };
}
