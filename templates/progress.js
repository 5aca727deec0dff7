"use strict";

// How far the review is, and what the decisions so far say about what is left.
function Progress(page) {
  const { h, fill, about, errors } = Dom;
  const { data, table, decisions, queue } = page;
  const forecast = Forecast.of(data);
  const tally = h("p", { class: "rv-tally" });
  const bar = h("progress", { max: Math.max(1, table.count), value: 0, "aria-label": "Reviewed" });
  const words = h("p", { class: "rv-forecast" });
  const element = h("div", { class: "rv-progress" }, tally, bar, words);

  function draw() {
    const list = queue.sampling() ? new Set(table.sample) : null;
    const counts = decisions.counts((item) => (list ? list.has(item) : item < table.count));
    const done = Decisions.KINDS.reduce((sum, kind) => sum + counts[kind], 0);
    const all = list ? table.sample.length : table.count;
    const parts = Decisions.KINDS.filter((k) => counts[k]).map((k) => `${counts[k].toLocaleString("en")} ${page.WORDS[k]}`);
    fill(tally, h("b", {}, `${done.toLocaleString("en")} of ${all.toLocaleString("en")}`), ` ${list ? "looked at" : "reviewed"}${parts.length ? ": " + parts.join(", ") : ""}`);
    bar.max = Math.max(1, all);
    bar.value = done;
    fill(words, ...(list ? sampleWords(all - done) : forecastWords(forecast(decisions))));
  }

  function sampleWords(left) {
    if (left === 0) return ["The sample is done. Export your decisions and apply them: the certificate says what they prove."];
    return ["Every answer counts in this order. You may stop at any moment: ", h("code", {}, "auditor review certify OUT decisions.json"), " says what your looks prove."];
  }

  function forecastWords(f) {
    if (!f) return ["This audit did not estimate how many errors remain."];
    if (f.left === 0) return ["Every suspect is reviewed. Export your decisions to apply them."];
    const [low, high] = [Math.floor(f.interval[0]), Math.ceil(f.interval[1])].map((end) => end.toLocaleString("en"));
    if (data.proved !== null) return provedWords(f);
    const proof = table.sample.length ? " Looks at the sample can tell." : "";
    if (data.cannot_tell) return [`The model cannot tell without looks how many errors are left: between ${low} and ${high}.${proof}`];
    if (f.total < 0.5) return [`The model finds no clear error among the rest, and cannot rule out ${high} error${high === "1" ? "" : "s"}. More of this list should find little.${proof}`];
    const remain = about(f.total) === "1" ? "remains" : "remain";
    return ["The next ", h("b", {}, f.depth.toLocaleString("en")), " should contain about ", h("b", {}, errors(f.within)),
      `. About ${about(f.total)} ${remain} in total (${low} to ${high}).`];
  }

  // What looks proved takes the place of the model's estimate. The model is heard where it does not say more than that.
  function provedWords(f) {
    const proved = `The certificate says that at most ${data.proved.toLocaleString("en")} of these labels are wrong now.`;
    const model = f.total > data.proved || f.total < 0.5 ? "" : ` The model expects about ${about(f.total)} in what you have not decided here.`;
    return [proved, model];
  }

  return { element, draw };
}
