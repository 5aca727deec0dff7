"use strict";

// A reviewer's decisions, and where they are kept. It knows nothing of the page.
const Decisions = (() => {
  const KINDS = ["keep", "relabel", "drop", "unsure"];
  const HOWS = ["rank", "drawn", "again", "known-wrong"];
  const OWN = ["again", "known-wrong"]; // looks that are items of their own, beside the decision about the item
  const HASH_WIDTH = 43;
  const UNDO_STEPS = 200;
  const UNDO_ITEMS = 2000; // items in all steps that outlive a reload: a browser keeps about five million characters

  // The audit's items as the page needs them. `data` is the document of auditor/report/payload.py. A row of the ranking
  // is an item by its number, and so is a drawn row: one decision about it counts in both lists. A second look and a label
  // made wrong are items of their own. Their numbers follow the last row.
  function rows(data) {
    const own = (item) => (item < data.label.length ? null : data.sample[item - data.label.length]);
    const row = (item) => own(item)?.[0] ?? item;
    const path = (item) => data.dirs[data.dir[row(item)]] + data.file[row(item)];
    const sample = (data.sample ?? []).map(([at, , how], place) => (how === "drawn" ? at : data.label.length + place));
    const drawn = new Set(sample);
    let places = null;
    return {
      count: data.ranked,
      all: data.label.length,
      sample,
      row,
      path,
      find: (wanted) => (places ??= new Map(data.file.map((_, at) => [path(at), at]))).get(wanted),
      how: (item) => own(item)?.[2] ?? "rank",
      drawn: (item) => drawn.has(item),
      label: (item) => data.classes[own(item)?.[1] ?? data.label[item]],
      suggestion(item) {
        const index = data.suggested[row(item)];
        const hidden = own(item)?.[2] === "known-wrong";
        return hidden || index < 0 || index === data.label[row(item)] ? null : data.classes[index];
      },
      probability(item) {
        const p = data.p?.[row(item)] ?? null;
        return p === null || own(item)?.[2] === "known-wrong" ? null : p / 1e4;
      },
      hash(item) {
        const at = row(item);
        const packed = data.hashes.slice(at * HASH_WIDTH, (at + 1) * HASH_WIDTH);
        if (packed.startsWith(".")) return null;
        return Array.from(atob(packed + "="), (c) => c.charCodeAt(0).toString(16).padStart(2, "0")).join("");
      },
    };
  }

  // Decisions by item. `storage` is the browser's, or null. `onTrouble` is called when it does not keep something.
  function store(data, storage, onTrouble) {
    const table = rows(data);
    const key = "auditor.decisions." + data.audit;
    const find = finder(table);
    let byItem = new Map();
    let history = [];
    let made = 0;

    // `order` counts the decisions as they are made. An export lists them so.
    function numbered(decision, order = made) {
      made = Math.max(made, order + 1);
      return { ...decision, order };
    }

    function inOrder() {
      return [...byItem].sort(([, a], [, b]) => (a.order ?? 0) - (b.order ?? 0));
    }

    function save() {
      const kept = inOrder().map(([item, d]) => [table.path(item), d.decision, d.new_label, d.time, d.how, table.label(item), d.order]);
      const back = lastSteps().map((step) => step.map(([item, before]) => [table.path(item), before, table.how(item), table.label(item)]));
      try {
        storage.setItem(key, JSON.stringify({ kept, undo: back }));
      } catch {
        onTrouble();
      }
    }

    // The newest steps, as many as may be kept. A step too large ends them: undo never leaps over a step that stands.
    function lastSteps() {
      let left = UNDO_ITEMS;
      let first = history.length;
      while (first > 0 && history.length - first < UNDO_STEPS && history[first - 1].length <= left) left -= history[--first].length;
      return history.slice(first);
    }

    function load() {
      let saved = null;
      try {
        saved = JSON.parse(storage.getItem(key));
      } catch {
        onTrouble();
      }
      byItem = new Map();
      history = [];
      for (const [path, decision, label, time, how, given, order] of lists(saved?.kept)) {
        const item = find(path, how, given);
        if (item === undefined || !KINDS.includes(decision)) continue;
        byItem.set(item, numbered({ decision, new_label: label ?? null, time, how: how ?? "rank" }, Number.isInteger(order) ? order : made));
      }
      for (const step of lists(saved?.undo)) {
        const known = lists(step).map(([path, before, how, given]) => [find(path, how, given), before]).filter(([item]) => item !== undefined);
        if (known.length) history.push(known);
      }
    }

    function put(changes) {
      const step = [];
      for (const [item, decision] of changes) {
        step.push([item, byItem.get(item) ?? null]);
        byItem.set(item, numbered(decision));
      }
      if (step.length) history.push(step);
      save();
    }

    // Decides about several items: [[item, decision, new label or null]]. One undo takes all of them back. `drawn` says
    // that the reviewer looked at them because they were drawn. How an item was first looked at stays.
    function decide(list, drawn = false) {
      const time = new Date().toISOString();
      put(list.map(([item, decision, label]) => {
        const how = byItem.get(item)?.how ?? (drawn && table.drawn(item) && item < table.all ? "drawn" : table.how(item));
        return [item, { decision, new_label: decision === "relabel" ? label : null, time, how }];
      }));
    }

    function undo() {
      const step = history.pop();
      for (const [item, before] of step ?? []) KINDS.includes(before?.decision) ? byItem.set(item, before) : byItem.delete(item);
      if (step) save();
      return step ? step.map(([item]) => item) : [];
    }

    function toDocument(reviewer = "") {
      return {
        schema_version: 1,
        kind: "auditor-decisions",
        audit_id: data.audit,
        reviewer,
        decisions: inOrder().map(([item, d]) => ({
          path: table.path(item),
          hash: table.hash(item),
          label: table.label(item),
          decision: d.decision,
          new_label: d.new_label,
          time: d.time,
          how: d.how,
        })),
      };
    }

    // Takes all of a document or nothing. Where both sides decided, the later decision stands.
    function fromDocument(text, reviewer = "") {
      const { entries, by } = readDocument(text, data, table, find);
      if (by && reviewer && by !== reviewer) {
        throw new Error(`The file holds the decisions of ${by}, this page those of ${reviewer}. Keep both files and apply them together: auditor review apply OUT FILE FILE`);
      }
      const changes = [];
      let older = 0;
      for (const [item, decision] of entries) {
        const mine = byItem.get(item);
        if (mine && mine.decision === decision.decision && mine.new_label === decision.new_label) continue;
        if (mine && String(mine.time) > String(decision.time)) older++;
        else changes.push([item, decision]);
      }
      const name = by && !reviewer && byItem.size === 0 ? by : reviewer;
      put(changes);
      return { read: entries.size, changed: changes.length, older, reviewer: name };
    }

    load();
    return {
      get: (item) => byItem.get(item) ?? null,
      get size() {
        return byItem.size;
      },
      get canUndo() {
        return history.length > 0;
      },
      counts(wanted = () => true) {
        const counts = { keep: 0, relabel: 0, drop: 0, unsure: 0 };
        for (const [item, d] of byItem) if (wanted(item)) counts[d.decision]++;
        return counts;
      },
      entries: () => byItem.entries(),
      key,
      load,
      decide,
      undo,
      toDocument,
      fromDocument,
    };
  }

  // The lists in a list. What a browser kept may be anything.
  function lists(value) {
    return Array.isArray(value) ? value.filter(Array.isArray) : [];
  }

  // Finds an item by path, and a second look or a label made wrong by how it came to be looked at and its label too.
  function finder(table) {
    let rowOf = null;
    let lookOf = null;
    return (path, how, label) => {
      if (!rowOf) {
        rowOf = new Map();
        for (let row = 0; row < table.all; row++) rowOf.set(table.path(row), row);
        lookOf = new Map(table.sample.filter((item) => item >= table.all).map((item) => [JSON.stringify([table.path(item), table.how(item), table.label(item)]), item]));
      }
      return OWN.includes(how) ? lookOf.get(JSON.stringify([path, how, label])) : rowOf.get(path);
    };
  }

  // A decisions file's entries by item and its reviewer, or an error that says what is wrong with it.
  function readDocument(text, data, table, find) {
    let file;
    try {
      file = JSON.parse(text);
    } catch {
      throw new Error("The file is not JSON.");
    }
    if (file?.kind !== "auditor-decisions" || file.schema_version !== 1 || !Array.isArray(file.decisions)) {
      throw new Error("The file does not hold decisions that this report can read.");
    }
    if (file.audit_id !== data.audit) {
      throw new Error(`The file belongs to audit ${file.audit_id}, this report to ${data.audit}.`);
    }
    const entries = new Map();
    file.decisions.forEach((entry, index) => {
      const item = find(entry?.path, entry?.how, entry?.label);
      const decision = readEntry(entry, `Decision ${index + 1}`, item, data, table);
      const before = entries.get(item);
      if (before && (before.decision !== decision.decision || before.new_label !== decision.new_label)) {
        throw new Error(`The file has two different decisions about ${table.path(item)}.`);
      }
      entries.set(item, decision);
    });
    return { entries, by: typeof file.reviewer === "string" ? file.reviewer.trim() : "" };
  }

  function readEntry(entry, place, item, data, table) {
    if (item === undefined && OWN.includes(entry?.how)) throw new Error(`${place} is about ${entry.path}, which the sample of this report does not show.`);
    if (item === undefined) throw new Error(`${place} is about ${data.noun.a} that is not in this audit: ${entry?.path}.`);
    if (!KINDS.includes(entry.decision)) throw new Error(`${place} is not one of ${KINDS.join(", ")}.`);
    if (entry.hash !== table.hash(item) || entry.label !== table.label(item)) {
      throw new Error(`${place} is stale: the content or the label of ${entry.path} has changed.`);
    }
    const known = data.classes.includes(entry.new_label) && entry.new_label !== entry.label;
    if (entry.decision === "relabel" && !known) throw new Error(`${place} relabels to a class that this audit does not have.`);
    const label = entry.decision === "relabel" ? entry.new_label : null;
    const how = HOWS.includes(entry.how) ? entry.how : "rank";
    return { decision: entry.decision, new_label: label, time: String(entry.time ?? ""), how };
  }

  return { KINDS, rows, store };
})();
