"use strict";

// The map: a place on a canvas for each item. Suspects glow, and a line drawn around items selects them. What it shows
// can be had without it: the list filters and sorts, and a button lists the items nearest to the open one.
function PlaneMap(page) {
  const { h } = Dom;
  const { data, table } = page;
  const STEPS = 65535;
  const EDGE = 10; // pixels around the points
  const NEAR = 50; // items that "nearest" lists
  const GLOWING = 2000; // suspects that glow at most
  const CORNERS = 40; // of a lasso, so that it fits into an address
  const CLICK = 5; // pixels that a hand moves while it clicks
  const places = decoded(data.map);
  const shownRows = places.length / 2;
  const canvas = h("canvas", { class: "rv-map", role: "img", "aria-label": `Map of ${shownRows.toLocaleString("en")} ${data.noun.many}. The list shows the same ${data.noun.many}.`, onpointerdown: begin, onpointermove: go, onpointerup: end, onpointercancel: () => { drawn = null; draw(); } });
  let drawn = null; // the line while it is drawn, in pixels
  let waiting = false;

  function decoded(text) {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    return Uint16Array.from({ length: bytes.length / 2 }, (_, at) => bytes[2 * at] + 256 * bytes[2 * at + 1]);
  }

  const x = (row, width) => EDGE + (places[2 * row] / STEPS) * (width - 2 * EDGE);
  const y = (row, height) => EDGE + (1 - places[2 * row + 1] / STEPS) * (height - 2 * EDGE);
  const has = (row) => row !== null && row < shownRows;

  // Draws once a frame at most, and only what somebody sees.
  function draw() {
    if (waiting || !canvas.offsetParent) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      if (canvas.offsetParent) paint();
    });
  }

  function paint() {
    const sharp = Math.min(2, window.devicePixelRatio || 1);
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = width * sharp;
    canvas.height = height * sharp;
    const pen = canvas.getContext("2d");
    pen.scale(sharp, sharp);
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const open = page.queue.open();
    const [given, suggested] = open === null ? [-1, -1] : [data.label[table.row(open)], data.suggested[table.row(open)]];
    const size = shownRows > 10000 ? 2 : shownRows > 2000 ? 3 : 4;
    const groups = [[colour("--muted"), 0.35, (row) => data.label[row] !== given && data.label[row] !== suggested],
      [colour("--clean"), 0.8, (row) => data.label[row] === given], [colour("--series-3"), 0.8, (row) => data.label[row] === suggested && suggested !== given]];
    for (const [ink, alpha, wanted] of groups) {
      pen.fillStyle = ink;
      pen.globalAlpha = alpha;
      for (let row = 0; row < shownRows; row++) if (wanted(row)) pen.fillRect(x(row, width) - size / 2, y(row, height) - size / 2, size, size);
    }
    glow(pen, colour("--wrong"), width, height);
    pen.globalAlpha = 1;
    if (has(open)) ring(pen, colour("--ink"), x(open, width), y(open, height));
    outline(pen, colour("--ink"), drawn ?? page.lasso().map(([px, py]) => [EDGE + px * (width - 2 * EDGE), EDGE + (1 - py) * (height - 2 * EDGE)]));
  }

  function glow(pen, ink, width, height) {
    pen.fillStyle = ink;
    const rings = shownRows > 10000 ? [[4, 0.2], [1.8, 1]] : [[9, 0.12], [6, 0.2], [3, 1]];
    let left = GLOWING;
    for (let row = 0; row < Math.min(shownRows, table.count) && left; row++) {
      if (!page.glows(row)) continue;
      left--;
      for (const [radius, alpha] of rings) {
        pen.globalAlpha = alpha;
        pen.beginPath();
        pen.arc(x(row, width), y(row, height), radius, 0, 7);
        pen.fill();
      }
    }
  }

  function ring(pen, ink, px, py) {
    pen.strokeStyle = ink;
    pen.lineWidth = 2.5;
    pen.beginPath();
    pen.arc(px, py, 10, 0, 7);
    pen.stroke();
  }

  function outline(pen, ink, line) {
    if (line.length < 2) return;
    pen.strokeStyle = ink;
    pen.lineWidth = 1.5;
    pen.setLineDash([5, 4]);
    pen.beginPath();
    line.forEach(([px, py], at) => (at ? pen.lineTo(px, py) : pen.moveTo(px, py)));
    pen.closePath();
    pen.stroke();
    pen.setLineDash([]);
  }

  const at = (event) => [event.offsetX, event.offsetY];

  function begin(event) {
    if (event.button) return;
    try {
      canvas.setPointerCapture(event.pointerId);
    } catch {
      // the pointer is gone already
    }
    drawn = [at(event)];
  }

  function go(event) {
    if (!drawn) return;
    drawn.push(at(event));
    draw();
  }

  function end() {
    const line = drawn ?? [];
    drawn = null;
    const reach = Math.max(0, ...line.map(([px, py]) => Math.hypot(px - line[0][0], py - line[0][1])));
    if (line.length && reach <= CLICK) page.show(nearestTo(...line[0]));
    else if (line.length > 2) page.select(simplified(line));
    draw();
  }

  // The listed item under the pointer.
  function nearestTo(px, py) {
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    let best = null;
    let least = 15;
    for (let row = 0; row < Math.min(shownRows, table.count); row++) {
      const far = Math.hypot(x(row, width) - px, y(row, height) - py);
      if (far < least) [best, least] = [row, far];
    }
    return best;
  }

  // As corners in parts of the map's sides, few enough for an address.
  function simplified(line) {
    const step = Math.max(1, line.length / CORNERS);
    const side = (value, length) => Math.round(1000 * Math.min(1, Math.max(0, (value - EDGE) / (length - 2 * EDGE)))) / 1000;
    return Array.from({ length: Math.min(line.length, CORNERS) }, (_, i) => line[Math.floor(i * step)])
      .map(([px, py]) => [side(px, canvas.clientWidth), 1 - side(py, canvas.clientHeight)]);
  }

  // Whether a row lies within a line's corners: the count of its sides on one hand is odd.
  function inside(row, corners) {
    if (!has(row)) return false;
    const [px, py] = [places[2 * row] / STEPS, places[2 * row + 1] / STEPS];
    let odd = false;
    for (let i = 0, j = corners.length - 1; i < corners.length; j = i++) {
      const [[ax, ay], [bx, by]] = [corners[i], corners[j]];
      if (ay > py !== by > py && px < ((bx - ax) * (py - ay)) / (by - ay) + ax) odd = !odd;
    }
    return odd;
  }

  // The rows nearest to one, itself among them.
  function nearest(row) {
    if (!has(row)) return new Set();
    const far = (other) => (places[2 * other] - places[2 * row]) ** 2 + (places[2 * other + 1] - places[2 * row + 1]) ** 2;
    const rows = Array.from({ length: Math.min(shownRows, table.count) }, (_, other) => other);
    return new Set(rows.sort((a, b) => far(a) - far(b) || a - b).slice(0, NEAR + 1));
  }

  return { element: canvas, draw, inside, nearest, has, count: shownRows };
}
