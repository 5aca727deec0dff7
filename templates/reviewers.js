"use strict";

// Who reviews: the name, whether the server has the decisions, and where other reviewers say something else.
function Reviewers(page) {
  const { h, fill, shown, named, plural } = Dom;
  const { table, decisions, server } = page;
  const NAME_KEY = "auditor.reviewer";
  const NAME_LENGTH = 80;
  const saved = h("p", { class: "rv-saved quiet", role: "status" });
  const agreement = h("p", { class: "rv-saved rv-agreement", hidden: true });
  const field = h("input", { type: "text", maxlength: NAME_LENGTH, autocomplete: "off", onkeydown: (event) => page.keys.leave(event), oninput: keep, onchange: () => server?.name(name()) });
  const label = h("label", { class: "rv-name" }, h("span", {}, server ? "Your name" : "Your name, for the export"), field);
  field.value = kept();

  const name = () => field.value.trim();

  function kept() {
    try {
      return (window.localStorage.getItem(NAME_KEY) ?? "").slice(0, NAME_LENGTH);
    } catch {
      return "";
    }
  }

  function keep() {
    try {
      window.localStorage.setItem(NAME_KEY, name());
    } catch {
      page.warnVolatile();
    }
  }

  function take(given) {
    field.value = given.slice(0, NAME_LENGTH);
    keep();
  }

  // Whether another reviewer says something else. Who is unsure says nothing.
  function disputed(row) {
    const mine = decisions.get(row);
    if (!server || !mine || mine.decision === "unsure") return false;
    return server.others(table.path(row)).some((other) => other.decision !== "unsure" && (other.decision !== mine.decision || other.new_label !== mine.new_label));
  }

  function drawAgreement() {
    const said = server.agreement.map((a) => [h("b", {}, named(a.reviewer || "a reviewer without a name")), ` on ${a.agreed.toLocaleString("en")} of ${a.both.toLocaleString("en")}`,
      a.kappa === null ? "" : ` (Cohen's kappa ${a.kappa.toFixed(2).replace("-", "−")})`]);
    const n = Array.from({ length: table.count }, (_, row) => row).filter(disputed).length;
    agreement.hidden = !said.length;
    fill(agreement, "You agree with ", said.flatMap((words, at) => (at ? [", with ", ...words] : words)), ".",
      n ? h("button", { type: "button", class: "quiet-button", onclick: () => page.filterBy({ ...page.queue.ANY, state: "disputed" }, true) }, `See ${plural(n, "disagreement")}`) : null);
  }

  function drawSaved({ waiting, refused, lost }) {
    saved.classList.toggle("rv-warning", Boolean(refused) || lost);
    if (refused) saved.textContent = `Not saved: ${refused}`;
    else if (lost) saved.textContent = `The server does not answer. ${waiting ? `${plural(waiting, "decision")} ${waiting === 1 ? "waits" : "wait"} in this page. Keep it open, or export your decisions.` : "What you decided before is saved."}`;
    else saved.textContent = waiting ? "Saving." : `Saved by the server as you decide${name() ? ` as ${shown(name())}` : ". Give your name if others review too"}.`;
  }

  return { label, saved, agreement, name, take, disputed, drawAgreement, drawSaved, others: (path) => server?.others(path) ?? [] };
}
