"use strict";

// The classes that an item may show, likeliest first. Each is a button of the card: the first three answer to 1, 2 and 3.
// The given label answers to K too, and the suggested one to R, wherever they stand.
function Likeliest(data, table) {
  const KEYS = 3;

  // [{name, p, key, role}]. `p` is null where no probability is known.
  function of(item, sure) {
    const given = table.label(item);
    const suggestion = table.suggestion(item);
    const found = (table.how(item) === "known-wrong" ? null : data.likeliest[table.row(item)])?.map(([index, p]) => ({ name: data.classes[index], p: p / 1e4 })) ?? [];
    const p = table.probability(item);
    const has = (name) => found.some((one) => one.name === name);
    if (!found.length && suggestion !== null && p !== null && p > 0.5) found.push({ name: suggestion, p: sure ? p : null });
    if (!has(given)) found.push({ name: given, p: p === null ? null : 1 - p });
    if (suggestion !== null && !has(suggestion)) found.push({ name: suggestion, p: sure ? p : null });
    return found.map((one, at) => ({ ...one, key: at < KEYS ? String(at + 1) : null, role: one.name === given ? "keep" : one.name === suggestion ? "relabel" : "class" }));
  }

  return { of };
}
