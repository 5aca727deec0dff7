"use strict";

// What a key or button decides, about the open item or the selected ones, what is said of it, and the way back.
function Deciding(page) {
  const { shown } = Dom;
  const { data, table, decisions, queue, selection, toast } = page;
  const chooser = Chooser(data.classes, () => new Set(selection.targets().map(table.label)), (name) => decide("relabel", name));

  function choose() {
    if (selection.targets().length) chooser.open();
  }

  function decide(decision, label = null) {
    const targets = selection.targets();
    const chosen = targets.filter((item) => page.isOpen(item) || table.how(item) !== "known-wrong");
    if (!chosen.length && targets.length) toast.say("The first answer about this label stands. Undo takes it back.");
    const bySuggestion = decision === "relabel" && label === null;
    const rowList = bySuggestion ? chosen.filter((item) => !page.blind(item) && table.suggestion(item) !== null) : chosen;
    if (!rowList.length) {
      if (chosen.length) choose();
      return;
    }
    if (label !== null && rowList.every((row) => table.label(row) === label)) return decide("keep");
    decisions.decide(rowList.map((row) => {
      const to = decision === "relabel" ? (label ?? table.suggestion(row)) : null;
      return to === table.label(row) ? [row, "keep", null] : [row, decision, to];
    }), queue.sampling());
    toast.say(doneWords(decision, label, rowList, chosen.length - rowList.length), { decided: true });
    selection.drop(rowList);
    goOn();
  }

  function doneWords(decision, label, rowList, left) {
    const what = rowList.length > 1 ? page.items(rowList.length) : nameOf(rowList[0]);
    const to = decision === "relabel" ? ` to ${shown(label ?? (rowList.length > 1 ? "the suggestions" : table.suggestion(rowList[0])))}` : "";
    const rest = left ? ` Still selected, as they have no suggestion: ${left}.` : "";
    const word = page.WORDS[decision];
    return `${decision === "unsure" ? "Left as unsure" : word[0].toUpperCase() + word.slice(1)}: ${what}${to}.${rest}`;
  }

  // The next item without a decision opens by itself.
  function goOn() {
    const row = queue.open();
    page.refilter(row);
    queue.goToOpen(queue.open() === row && row !== null ? queue.current + 1 : queue.current);
    page.draw();
  }

  // The class that a button or a digit of the card names, for everything that keys apply to.
  const decideClass = (name) => name !== null && decide("relabel", name);

  function decideDigit(digit) {
    if (queue.open() !== null) decideClass(page.card.nameOf(queue.open(), digit));
  }

  function undo() {
    const rowList = decisions.undo();
    if (!rowList.length) return toast.say("Nothing to undo.");
    if (queue.sampling() !== table.sample.includes(rowList[0]) && (queue.sampling() || rowList[0] >= table.all)) page.changeQueue(queue.sampling() ? "rank" : "sample");
    page.refilter(rowList[0]);
    toast.say(`Undone: ${rowList.length > 1 ? page.items(rowList.length) : nameOf(rowList[0])}.`, { short: true });
    page.draw();
  }

  // A path may tell the label, so the sample does without.
  function nameOf(item) {
    const place = queue.sampling() ? table.sample.indexOf(item) : -1;
    return place >= 0 ? `look ${place + 1}` : shown(table.path(item));
  }

  return { dialog: chooser.dialog, typing: chooser.find, choose, decide, decideClass, decideDigit, undo };
}
