"use strict";

// The server that shows the page, as a place where decisions are kept. It has the two functions of the browser's
// storage that Decisions.store uses. Of what it is given it sends what is new, and tries again until the server has it.
function Remote(data, told) {
  const OWN = ["again", "known-wrong"];
  const EVERY = 2000; // milliseconds between two questions, and between two tries
  const known = { entries: new Map(), revision: "", others: new Map(), agreement: [] }; // what the server has
  const waiting = new Map(); // by item, what it does not have yet
  let reviewer = "";
  let busy = false;
  let refused = "";
  let answered = false;
  let timer = null;

  const keyOf = (entry) => JSON.stringify(OWN.includes(entry.how) ? [entry.path, entry.how, entry.label] : [entry.path]);
  const undoKey = () => `auditor.undo.${data.audit}.${reviewer}`;
  const same = (a, b) => a.decision === b.decision && (a.new_label ?? null) === (b.new_label ?? null) && a.time === b.time;

  // What the page shows: what the server has, with what waits laid over it.
  function entries() {
    const all = new Map(known.entries);
    for (const [key, entry] of waiting) {
      all.delete(key);
      if (entry.decision !== null) all.set(key, entry);
    }
    return all;
  }

  function getItem() {
    const kept = [...entries().values()].map((e, order) => [e.path, e.decision, e.new_label ?? null, e.time, e.how, e.label, order]);
    let undo = [];
    try {
      undo = JSON.parse(window.localStorage.getItem(undoKey()) ?? "[]");
    } catch {
      undo = []; // without undo after a reload
    }
    return JSON.stringify({ kept, undo });
  }

  function setItem(_, text) {
    const { kept, undo } = JSON.parse(text);
    const now = entries();
    const listed = new Set();
    for (const [path, decision, newLabel, time, how, label] of kept) {
      const entry = { path, label, decision, new_label: newLabel, time, how };
      const key = keyOf(entry);
      listed.add(key);
      const before = now.get(key);
      if (!before || !same(before, entry)) waiting.set(key, entry);
    }
    for (const [key, entry] of now) if (!listed.has(key)) waiting.set(key, { ...entry, decision: null, new_label: null });
    try {
      window.localStorage.setItem(undoKey(), JSON.stringify(undo));
    } catch {
      // without undo after a reload
    }
    send();
  }

  function take(answer) {
    known.entries = new Map(answer.decisions.map((entry) => [keyOf(entry), entry]));
    known.revision = answer.revision;
    known.others = new Map();
    for (const other of answer.others) known.others.set(other.path, [...(known.others.get(other.path) ?? []), other]);
    known.agreement = answer.agreement;
    answered = true;
  }

  // One request at a time, so that an older answer never stands over a newer one.
  async function send() {
    if (busy || !waiting.size) return tell();
    busy = true;
    const sent = new Map(waiting);
    const by = reviewer;
    tell();
    const { status, words, answer } = await post(by, [...sent.values()]);
    busy = false;
    if (by !== reviewer) return send();
    refused = "";
    if (answer) {
      for (const [key, entry] of sent) if (waiting.get(key) === entry) waiting.delete(key);
      take(answer);
      told.others();
    } else if (status >= 400) refused = words.trim();
    tell();
    if (!answer) return later();
    if (waiting.size) send();
  }

  // What another window of the same reviewer decided.
  async function look() {
    if (busy || waiting.size || document.hidden) return later();
    busy = true;
    const by = reviewer;
    const { status, answer } = await ask(`decisions?reviewer=${encodeURIComponent(by)}&since=${encodeURIComponent(known.revision)}`);
    busy = false;
    if (by === reviewer && answer && !waiting.size) {
      const before = getItem();
      take(answer);
      if (getItem() === before) told.others();
      else told.changed();
    }
    answered = answered && status !== 0;
    tell();
    later();
  }

  // `answer` is what a request about decisions gives, and `words` the text of everything else. Status 0: no server.
  async function ask(where, what = {}) {
    try {
      const reply = await fetch(where, { ...what, cache: "no-store" });
      const text = await reply.text();
      const isAnswer = (reply.headers.get("Content-Type") ?? "").startsWith("application/json");
      return { status: reply.status, words: isAnswer ? "" : text, answer: isAnswer ? JSON.parse(text) : null };
    } catch {
      return { status: 0, words: "", answer: null };
    }
  }

  const post = (by, changes) => ask("decisions", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ audit: data.audit, reviewer: by, changes }) });

  function later() {
    clearTimeout(timer);
    timer = setTimeout(() => (waiting.size ? send() : look()), EVERY);
  }

  function tell() {
    told.state({ waiting: waiting.size, refused, lost: !busy && (waiting.size > 0 || !answered) });
  }

  // From now on decisions are those of this reviewer. Decisions made before any name was given become the reviewer's.
  async function name(wanted) {
    if (wanted === reviewer) return;
    const unnamed = reviewer === "" ? entries() : new Map();
    const old = reviewer;
    reviewer = wanted;
    waiting.clear();
    known.entries = new Map();
    known.revision = "";
    known.others = new Map();
    known.agreement = [];
    while (busy) await new Promise((go) => setTimeout(go, 20));
    const { answer } = await ask(`decisions?reviewer=${encodeURIComponent(wanted)}`);
    if (answer && wanted === reviewer) {
      take(answer);
      if (old === "" && unnamed.size) await move(unnamed);
    }
    told.changed(old !== "");
    tell();
    later();
  }

  async function move(unnamed) {
    try {
      window.localStorage.setItem(undoKey(), window.localStorage.getItem(`auditor.undo.${data.audit}.`) ?? "[]");
    } catch {
      // without undo after a reload
    }
    for (const [key, entry] of unnamed) if (!known.entries.has(key)) waiting.set(key, entry);
    await send();
    if (waiting.size) return; // the server does not have them under the new name, so they stay under the old one
    const back = [...unnamed.values()].map((entry) => ({ ...entry, decision: null, new_label: null }));
    await post("", back);
  }

  return {
    getItem,
    setItem,
    name,
    others: (path) => known.others.get(path) ?? [],
    get agreement() {
      return known.agreement;
    },
    item: (row) => `item/${data.audit}/${row}`,
    ask,
    get waiting() {
      return waiting.size;
    },
    start(first) {
      reviewer = first;
      document.addEventListener("visibilitychange", () => document.hidden || look());
      look();
    },
  };
}
