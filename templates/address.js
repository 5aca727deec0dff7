"use strict";

// What the review shows, in the page's address: a link leads there again, and so does a reload. `view` gives it as
// names and values, and `go` takes them. An address of a part of the page has no "=" and is left alone.
function Address(view, go) {
  const PAUSE = 250; // milliseconds: browsers refuse too many changes
  let timer = null;

  function read() {
    const hash = window.location.hash.slice(1);
    return hash.includes("=") ? Object.fromEntries(new URLSearchParams(hash)) : null;
  }

  function write() {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const wanted = new URLSearchParams(Object.entries(view()).filter(([, value]) => value !== "")).toString();
      if (wanted === window.location.hash.slice(1) || (!wanted && !read())) return;
      try {
        window.history.replaceState(null, "", `#${wanted}`);
      } catch {
        // the browser refuses, and the page works without
      }
    }, PAUSE);
  }

  function follow() {
    const wanted = read();
    if (wanted) go(wanted);
    return wanted !== null;
  }

  window.addEventListener("hashchange", follow);
  return { write, follow };
}
