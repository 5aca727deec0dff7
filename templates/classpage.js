"use strict";

// What is known of one class: how many of its labels are probably wrong, what they probably are, and which labels of
// other classes are probably it. Every pair is a button that lists its items.
function ClassPage(data, table, list) {
  const { h, fill, shown, named, about } = Dom;
  const MOST = 5;
  const element = h("div", { class: "rv-classpage", hidden: true });
  const telling = data.p !== null && !data.cannot_tell;
  let sums = null;

  // By given and suggested class: expected wrong labels, or without an estimate the suspects.
  function pairs() {
    if (sums) return sums;
    sums = new Map();
    for (let row = 0; row < table.count; row++) {
      if (data.suggested[row] < 0 || data.suggested[row] === data.label[row]) continue;
      const key = `${data.label[row]}:${data.suggested[row]}`;
      sums.set(key, (sums.get(key) ?? 0) + (telling ? (data.p[row] ?? 0) / 1e4 : 1));
    }
    return sums;
  }

  function confusions(title, chosen, nameOf) {
    const found = [...pairs()].map(([key, count]) => [...key.split(":").map(Number), count]).filter(([a, b, count]) => chosen(a, b) && (!telling || count >= 0.1));
    found.sort((a, b) => b[2] - a[2] || a[0] - b[0] || a[1] - b[1]);
    if (!found.length) return null;
    return h("p", {}, h("span", {}, title), found.slice(0, MOST).map(([a, b, count]) =>
      h("button", { type: "button", class: "quiet-button", onclick: () => list(a, b) }, named(data.classes[nameOf(a, b)]), ` ${telling ? about(count) : count.toLocaleString("en")}`)));
  }

  // `index` is the class; -1 for none.
  function draw(index) {
    element.hidden = index < 0;
    if (index < 0) return;
    const n = data.label.filter((label) => label === index).length;
    const estimate = data.by_class?.[index];
    const words = telling && estimate ? `about ${about(estimate[0])} probably wrong (${about(estimate[1])} to ${about(estimate[2])})` : "how many are wrong, the model cannot tell";
    const other = telling ? "" : " (suspects, not an estimate)";
    fill(element,
      h("p", {}, h("span", {}, h("b", {}, named(data.classes[index])), `: ${n.toLocaleString("en")} labels, ${words}.`)),
      confusions(["Labelled ", shown(data.classes[index]), `, perhaps${other}:`], (a) => a === index, (_, b) => b),
      confusions([`Labelled otherwise, perhaps `, shown(data.classes[index]), `${other}:`], (_, b) => b === index, (a) => a));
  }

  return { element, draw };
}
