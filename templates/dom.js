"use strict";

// Elements and words: what every part of the page's tool is made of.
const Dom = (() => {
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

  // What a text keeps beside the joiners: line ends, soft hyphens, Arabic number signs, marks that steer no whole words.
  const WRITING = /[\t\n\u00ad\u061c\u200e\u200f\u06dd\u070f\u08e2\u0600-\u0605]/;

  // A text of several lines. What `shown` makes visible is visible here too, but for line ends.
  function readable(text) {
    const lines = String(text).replace(/\r\n?/g, "\n");
    return lines.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (char) => (WRITING.test(char) ? char : shown(char)));
  }

  const about = (x) => (x < 0.95 ? (Math.round(x * 10) / 10).toString() : Math.round(x).toLocaleString("en"));
  return {
    h,
    fill,
    shown,
    readable,
    about,
    named: (text) => h("bdi", {}, shown(text)),
    plural: (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`,
    errors: (x) => `${about(x)} error${about(x) === "1" ? "" : "s"}`,
    percent: (p) => (p > 0.995 ? "over 99%" : p < 0.005 ? "under 1%" : `${Math.round(100 * p)}%`),
    signed: (x) => (x === null ? "–" : (x > 0 ? "+" : "") + Number(x.toPrecision(3)).toString().replaceAll("-", "−")),
    badge: (state, ...words) => h("span", { class: `badge state-${state}` }, ...words),
  };
})();
