"use strict";

// The order of the list. In an arranged list a number is an item, and an object is a group's heading.
const Arrange = (() => {
  // What a column sorts by, and the direction. What has no value comes last, and ties go by rank.
  const KEYS = {
    probability: { of: (row, data) => data.p?.[row], sign: -1 },
    least: { of: (row, data) => data.suspicion[row], sign: 1 },
    harmful: { of: (row, data) => data.influence[row], sign: 1 },
    helpful: { of: (row, data) => data.influence[row], sign: -1 },
    given: { of: (row, data, table) => table.label(row), sign: 1 },
    suggested: { of: (row, data, table) => table.suggestion(row), sign: 1 },
    file: { of: (row, data, table) => table.path(row), sign: 1 },
  };
  const SORTED = [["probability", "by probability"], ["least", "least suspicious first"], ["harmful", "lowest influence first"], ["helpful", "highest influence first"],
    ["given", "by given label"], ["suggested", "by suggested label"], ["file", "by name"]];

  function sorted(found, { of, sign }, data, table) {
    const keyed = found.map((row) => [of(row, data, table) ?? null, row]);
    const place = ([a, i], [b, j]) => (a === b ? i - j : a === null ? 1 : b === null ? -1 : a < b ? -sign : sign);
    return keyed.sort(place).map(([, row]) => row);
  }

  function list(found, order, data, table) {
    if (order === "rank") return found;
    if (order in KEYS) return sorted(found, KEYS[order], data, table);
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

  return { list, SORTED };
})();
