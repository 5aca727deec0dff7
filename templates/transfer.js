"use strict";

// Decisions as a file: out of the page, and into it.
function Transfer(page) {
  const { h, shown, plural } = Dom;
  const { decisions, reviewers, toast } = page;
  const KEPT = 10000; // milliseconds: until the browser has saved the file
  const file = h("input", { type: "file", accept: ".json,application/json", class: "visually-hidden", id: "rv-file", tabindex: "-1", "aria-label": "Decisions file", onchange: take });
  const buttons = [
    h("button", { type: "button", class: "quiet-button", onclick: () => file.click() }, "Import"),
    h("button", { type: "button", class: "main-button", id: "rv-export", onclick: give }, "Export decisions.json"), file];

  function give() {
    const text = JSON.stringify(decisions.toDocument(reviewers.name()), null, 1) + "\n";
    const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    h("a", { href: url, download: "decisions.json" }).click();
    setTimeout(() => URL.revokeObjectURL(url), KEPT);
    toast.say(`Exported ${plural(decisions.size, "decision")}. Next: auditor review apply OUT decisions.json`);
  }

  async function take() {
    if (!file.files[0]) return;
    try {
      const { read, changed, older, reviewer } = decisions.fromDocument(await file.files[0].text(), reviewers.name());
      reviewers.take(reviewer);
      toast.say(`Read ${plural(read, "decision")}: ${changed} imported, ${older} left out as older than yours, the rest already the same.`);
    } catch (error) {
      toast.say(`Nothing was imported. ${shown(error.message)}`);
    }
    file.value = "";
    page.refilter();
    page.draw();
  }

  return { buttons };
}
