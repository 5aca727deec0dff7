"use strict";

// The order of the list. In an arranged list a number is an item, and an object is a group's heading.
const Arrange = (() => {
  function list(found, order, data, table) {
    if (order === "rank") return found;
    const groups = order === "alike" ? alike(found, data, table) : confusedPairs(found, data, table);
    return groups.flatMap((group) => [group, ...group.rows]);
  }

  function alike(found, data, table) {
    const wanted = new Set(found);
    const groups = [];
    const grouped = new Set();
    for (const members of data.groups) {
      const inside = members.filter((row) => wanted.has(row)).sort((a, b) => a - b);
      if (inside.length < 2) continue;
      inside.forEach((row) => grouped.add(row));
      const one = new Set(inside.map(table.label)).size === 1;
      groups.push({ title: `${inside.length} ${data.noun.many} that look alike${one ? "" : " but have different labels"}`, rows: inside, counted: true });
    }
    groups.sort((a, b) => a.rows[0] - b.rows[0]);
    const rest = found.filter((row) => !grouped.has(row));
    return rest.length ? [...groups, { title: "Without a look-alike", rows: rest }] : groups;
  }

  function confusedPairs(found, data, table) {
    const groups = new Map();
    for (const row of found) {
      const key = `${data.label[row]}:${data.suggested[row]}`;
      if (!groups.has(key)) {
        const other = table.suggestion(row);
        const title = Dom.shown(table.label(row)) + (other === null ? ", no suggestion" : ` → ${Dom.shown(other)}`);
        groups.set(key, { title, rows: [], weight: 0 });
      }
      const group = groups.get(key);
      group.rows.push(row);
      group.weight += table.probability(row) ?? 0;
    }
    return [...groups.values()].sort((a, b) => b.weight - a.weight || a.rows[0] - b.rows[0]);
  }

  return { list };
})();
