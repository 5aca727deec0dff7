"use strict";

// What the decisions so far say about the errors that remain. It knows nothing of the page.
const Forecast = (() => {
  const SITTING = 50; // suspects that a person goes through at once, as auditor/report/sitting.py has them
  // A part of the shift is the own one of the suspects ahead: a part of the prior's variance, and at most this standard
  // deviation. We tried 60 audits of known truth (docs/tried.md), each once as many suspects were reviewed as
  // are wrong. The interval held the number of errors ahead in three cases of four without it, in 96 of 100 with it.
  const OWN_PART = 0.4;
  const OWN_WIDTH = 1;

  // Forecasts the errors still ahead. The audit's probabilities are moved by one shift on the log-odds scale, and the
  // reviewer's decisions inform that shift. Its prior is two halves of normal distributions. Their widths are chosen so
  // that the forecast before the first decision has the audit's own interval for the number of wrong labels. The
  // suspects ahead look less wrong than those reviewed and may be off differently, so a part of their shift
  // (`OWN_PART`) is their own. Returns a function of the decisions: all else stays the same while a person reviews.
  function of(data) {
    if (!data.p) return () => null;
    const odds = logOdds(data);
    const prior = priorWidths(odds, data.count?.interval ?? [0, 2 * expected(odds, 0)]);
    return (decisions) => {
      const seen = [];
      for (const [row, d] of decisions.entries()) {
        if (d.decision !== "unsure" && row < data.ranked) seen.push([odds[row], d.decision === "keep" ? 0 : 1]);
      }
      const { shift, deviation } = carried(fitShift(seen, prior), prior);
      const found = ahead(odds, decisions, shift, deviation);
      // Before any decision it is the audit's own interval to the letter, so that the page says one thing.
      const untouched = found.left === odds.length && data.count;
      return { ...found, prior, interval: untouched ? data.count.interval : found.interval };
    };
  }

  // Log-odds of every suspect. Where the audit expects next to nothing, all probabilities are rounded to zero. Then
  // suspicion gives the order and the total gives the level, so that the forecast still learns from errors found.
  function logOdds(data) {
    const odds = new Float64Array(data.ranked);
    const floor = Math.min(1e-5, 0.02 / Math.max(1, data.ranked));
    let total = 0;
    for (let row = 0; row < data.ranked; row++) {
      const p = Math.min(Math.max((data.p[row] ?? 0) / 1e4, floor), 0.9999);
      odds[row] = Math.log(p / (1 - p));
      total += p;
    }
    if (total >= 0.5) return odds;
    for (let row = 0; row < data.ranked; row++) odds[row] = Math.max(-30, Math.min(30, data.suspicion[row] ?? -30));
    const level = bisect((shift) => expected(odds, shift), Math.max(total, 0.05), -80, 80);
    return odds.map((value) => value + level);
  }

  // Standard deviations [below, above]. Chance alone already makes a part of the interval.
  function priorWidths(odds, [low, high]) {
    const total = expected(odds, 0);
    const chance = 1.96 * Math.sqrt(spread(odds, 0));
    const reach = (end) => Math.sqrt(Math.max(0, (end - total) ** 2 - chance ** 2));
    const most = Math.min(total + reach(high), 0.95 * odds.length);
    const above = bisect((width) => expected(odds, 1.96 * width), most, 0.25, 6);
    if (reach(low) === 0) return [above, above]; // chance alone reaches down to the bound, so the bound says nothing
    return [bisect((width) => -expected(odds, -1.96 * width), reach(low) - total, 0.25, 6), above];
  }

  // The place between `low` and `high` where an increasing function takes a value, or the nearer end.
  function bisect(f, value, low, high) {
    for (let step = 0; step < 60; step++) {
      const middle = (low + high) / 2;
      if (f(middle) < value) low = middle;
      else high = middle;
    }
    return (low + high) / 2;
  }

  function expected(odds, shift) {
    let total = 0;
    for (const value of odds) total += sigmoid(value + shift);
    return total;
  }

  // Variance of the number of errors, where each item is right or wrong on its own.
  function spread(odds, shift) {
    let total = 0;
    for (const value of odds) {
      const p = sigmoid(value + shift);
      total += p * (1 - p);
    }
    return total;
  }

  const sigmoid = (x) => 1 / (1 + Math.exp(-x));

  // Posterior mode of the shift and its deviations [below, above]. The log posterior is concave, also where the prior's
  // halves meet. Its slope decreases, so bisection finds the mode.
  function fitShift(seen, prior) {
    const precision = prior.map((width) => 1 / (width * width));
    const descent = (shift) => {
      let slope = shift * precision[shift < 0 ? 0 : 1];
      for (const [odds, wrong] of seen) slope += sigmoid(odds + shift) - wrong;
      return slope;
    };
    const shift = bisect(descent, 0, -40, 40);
    const known = spread(seen.map(([odds]) => odds), shift);
    return { shift, deviation: precision.map((value) => 1 / Math.sqrt(value + known)) };
  }

  // The shift of the suspects ahead, from the shift of the reviewed ones. Without a decision it is the prior's.
  function carried({ shift, deviation }, prior) {
    const shared = prior.map((width) => 1 - Math.min(OWN_PART, (OWN_WIDTH / width) ** 2));
    return {
      shift: shared[shift < 0 ? 0 : 1] * shift,
      deviation: prior.map((width, end) => Math.sqrt((1 - shared[end] ** 2) * width * width + (shared[end] * deviation[end]) ** 2)),
    };
  }

  function ahead(odds, decisions, shift, [below, above]) {
    const open = [];
    for (let row = 0; row < odds.length; row++) if (!decisions.get(row)) open.push(odds[row] + shift);
    const cumulative = [];
    let total = 0;
    for (const value of open) {
      total += sigmoid(value);
      cumulative.push(total);
    }
    const chance = 1.96 * Math.sqrt(spread(open, 0));
    const low = total - Math.hypot(total - expected(open, -1.96 * below), chance);
    const high = total + Math.hypot(expected(open, 1.96 * above) - total, chance);
    const interval = [Math.max(0, low), Math.min(open.length, high)];
    const depth = Math.min(SITTING, open.length);
    return { total, interval, left: open.length, depth, within: depth ? cumulative[depth - 1] : 0, shift };
  }

  return { of };
})();
