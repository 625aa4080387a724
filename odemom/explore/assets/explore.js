// Fields to questions, answers to the page. All that is decided or drawn is decided and drawn by
// odemom; here is only what follows the hand: sliders, entries and dots that are dragged.
"use strict";

const $ = (id) => document.getElementById(id);
const STEP = 0.05; // of a drag
const MOVING = ["witness", "line", "line-caption", "paths", "paths-caption", "net", "net-caption"];
const PATIENCE = 400; // milliseconds
let overdue = 0;
const SLIDES = 200; // of the slider of eps, between 0 and inf, from 1/100 to 100
let source = "eps"; // which of eps and gamma was set last
let answer = null; // the last one that is no error
let hand = null; // what a drag began with: {list, rows}
let unmoved = ""; // why the last question has a first part of an answer alone

// ---- numbers ----

const minus = (text) => text.replace("-", "\u2212");
const trimmed = (value, digits = 2) => String(Number(value.toFixed(digits)));
const mu = (k) => `μ${"₁₂₃₄"[k]}`;
const snapped = (value) => trimmed(Math.round(value / STEP) * STEP);

function valueOf(text) {
  const [above, below = "1"] = text.replace("\u2212", "-").split("/");
  return Number(above) / Number(below);
}

function epsOfSlide(k) {
  if (k <= 0) return "0";
  if (k > SLIDES + 1) return "inf";
  return String(Number((10 ** (-2 + (4 * (k - 1)) / SLIDES)).toPrecision(3)));
}

function slideOfEps(mass) {
  if (mass === "inf") return SLIDES + 2;
  if (mass <= 0) return 0;
  const k = 1 + ((Math.log10(mass) + 2) * SLIDES) / 4;
  return Math.min(SLIDES + 1, Math.max(1, Math.round(k)));
}

// ---- the matrix ----

const inputs = () => [...$("entries").children];
const dimension = () => Math.sqrt(inputs().length);

function entries() {
  const d = dimension();
  const texts = inputs().map((input) => input.value);
  return Array.from({ length: d }, (_, i) => texts.slice(d * i, d * i + d));
}

function setEntries(rows) {
  if (rows.length !== dimension()) {
    const cells = rows.flatMap((row, i) => row.map((_, j) => newEntry(i, j)));
    $("entries").replaceChildren(...cells);
    $("entries").className = `entries d${rows.length}`;
    $("dimension").value = rows.length;
  }
  inputs().forEach((input, k) => {
    input.value = rows.flat()[k];
  });
}

function newEntry(i, j) {
  const input = document.createElement("input");
  Object.assign(input, { className: "number", maxLength: 40, spellcheck: false, inputMode: "text" });
  input.setAttribute("aria-label", `row ${i + 1}, column ${j + 1}`);
  input.addEventListener("input", ask);
  input.addEventListener("keydown", (event) => {
    const up = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (up) {
      event.preventDefault();
      move(input, valueOf(input.value), up);
    }
  });
  input.addEventListener("pointerdown", (event) => drag(event, input));
  return input;
}

function move(input, start, steps) {
  if (!Number.isFinite(start)) return;
  input.value = snapped(start + steps * STEP);
  ask();
}

// Sideways: the number changes. Up and down, or not at all: a click into the field.
function drag(event, input) {
  const start = valueOf(input.value);
  const from = event.clientX;
  let moved = false;
  const follow = (now) => {
    const steps = Math.round((now.clientX - from) / 5);
    moved ||= Math.abs(now.clientX - from) > 4;
    if (moved) {
      input.setPointerCapture(event.pointerId);
      window.getSelection().removeAllRanges();
      move(input, start, steps);
    }
  };
  untilLetGo(input, follow, () => moved && input.blur());
}

// Follow a pointer over a place until it is let go, wherever that is.
function untilLetGo(place, follow, end) {
  const done = () => {
    place.removeEventListener("pointermove", follow);
    window.removeEventListener("pointerup", done);
    window.removeEventListener("pointercancel", done);
    end();
  };
  place.addEventListener("pointermove", follow);
  window.addEventListener("pointerup", done);
  window.addEventListener("pointercancel", done);
}

// ---- its eigenvalues: [re, im], of a pair of conjugates the upper one ----

function began() {
  hand ??= { list: answer.eigenvalues.map((pair) => [...pair]), rows: entries() };
  return hand;
}

// A triangular matrix keeps what is above its diagonal; any other becomes block-diagonal.
function setEigenvalues({ list, rows }, changed) {
  const real = list.length === rows.length; // of a pair there is one; or they are of an older matrix
  const below = rows.flatMap((row, i) => row.slice(0, i));
  if (real && below.every((text) => valueOf(text) === 0)) {
    const places = rows.map((row, i) => i).sort((i, j) => valueOf(rows[i][i]) - valueOf(rows[j][j]));
    const next = rows.map((row) => [...row]);
    places.forEach((i, k) => {
      if (changed[k][0] !== list[k][0]) next[i][i] = trimmed(changed[k][0]);
    });
    setEntries(next);
  } else {
    setEntries(blockDiagonal(changed));
  }
  ask();
}

function blockDiagonal(list) {
  const d = list.reduce((sum, [, im]) => sum + (im ? 2 : 1), 0);
  const rows = Array.from({ length: d }, () => Array(d).fill("0"));
  let at = 0;
  for (const [re, im] of list) {
    rows[at][at] = trimmed(re, 4);
    if (im) {
      rows[at + 1][at + 1] = trimmed(re, 4);
      rows[at][at + 1] = trimmed(-im, 4);
      rows[at + 1][at] = trimmed(im, 4);
    }
    at += im ? 2 : 1;
  }
  return rows;
}

function showEigenvalues(list) {
  const names = list.flatMap(([, im], k) => (im ? [`Re ${mu(k)}`, `Im ${mu(k)}`] : [mu(k)]));
  const values = list.flatMap(([re, im]) => (im ? [re, im] : [re]));
  const box = $("eigenvalues");
  if (box.dataset.names !== names.join()) {
    box.dataset.names = names.join();
    box.replaceChildren(...list.flatMap(([, im], k) => (im ? [0, 1] : [0]).map((c) => slider(k, c, im))));
  }
  [...box.children].forEach((row, k) => {
    const [label, range, output] = row.children;
    label.textContent = names[k];
    output.textContent = minus(trimmed(values[k], 3));
    if (document.activeElement !== range || !hand) range.value = values[k];
  });
}

function slider(k, part, complex) {
  const row = document.createElement("div");
  row.className = "eigen";
  const range = document.createElement("input");
  Object.assign(range, { type: "range", min: complex && part ? STEP : -3, max: 3, step: STEP });
  range.setAttribute("aria-label", `eigenvalue ${k + 1}${complex ? (part ? ", imaginary" : ", real") : ""}`);
  range.addEventListener("input", () => {
    const base = began();
    const changed = base.list.map((pair) => [...pair]);
    changed[k][part] = Number(range.value);
    setEigenvalues(base, changed);
  });
  range.addEventListener("change", () => {
    hand = null;
  });
  row.append(document.createElement("span"), range, document.createElement("output"));
  return row;
}

// ---- dots that are dragged ----

function grab(event) {
  const dot = event.target.closest("[data-eigen]");
  if (!dot || !answer) return;
  event.preventDefault();
  const svg = dot.ownerSVGElement;
  const base = began();
  const indices = dot.dataset.eigen.split(",").map(Number);
  const [x0, x1, y0, y1] = svg.dataset.window.split(" ").map(Number);
  const [left, top, right, bottom] = svg.dataset.box.split(" ").map(Number);
  const place = svg.getBoundingClientRect();
  const scale = svg.viewBox.baseVal.width / place.width;
  const inside = (value, low, high) => Number(snapped(Math.min(high, Math.max(low, value))));
  const follow = (now) => {
    const x = inside(x0 + (((now.clientX - place.left) * scale - left) / (right - left)) * (x1 - x0), x0, x1);
    const y = inside(y1 - (((now.clientY - place.top) * scale - top) / (bottom - top)) * (y1 - y0), y0, y1);
    const changed = base.list.map((pair) => [...pair]);
    if (indices.length === 2) {
      changed[indices[0]][0] = x;
      changed[indices[1]][0] = Math.abs(x - y) < (x1 - x0) / 40 ? x : y; // equal ones are easy to hit
    } else {
      changed[indices[0]][0] = x;
      if (changed[indices[0]][1]) changed[indices[0]][1] = Math.max(STEP, Math.abs(y));
    }
    setEigenvalues(base, changed);
  };
  untilLetGo(window, follow, () => {
    hand = null;
  });
}

// ---- questions and answers ----

function question() {
  const fields = { matrix: entries(), layers: $("layers").value, floats: $("floats").checked };
  fields[source] = $(source).value;
  return fields;
}

async function post(part, fields) {
  const headers = { "Content-Type": "application/json" };
  try {
    return await (await fetch(part, { method: "POST", headers, body: JSON.stringify(fields) })).json();
  } catch {
    return { error: "The server does not answer: is odemom explore still running in its terminal?" };
  }
}

// One question at a time; of those that come while it is answered only the last one matters.
function channel(part, use) {
  let busy = false;
  let next = null;
  const put = async (fields) => {
    next = fields;
    if (busy) return;
    busy = true;
    while (next) {
      const asked = next;
      next = null;
      use(await post(part, asked), next === null);
    }
    busy = false;
  };
  return { put, idle: () => !busy };
}

// The decision comes first; witness and paths, which take longer, do not hold up the next one.
const channels = [
  channel("answer", (found) => show(found)),
  channel("motion", (found, last) => {
    if (found.parts) showParts(found.parts);
    else if (last) unmoved = found.error;
    if (last) pale(false);
    showUnmoved();
  }),
];
const settled = () => channels.every((one) => one.idle());

function ask() {
  const fields = question();
  unmoved = "";
  remember(fields);
  clearTimeout(overdue);
  overdue = setTimeout(() => pale(true), PATIENCE);
  for (const one of channels) one.put(fields);
}

// What still answers an older question, after a while.
function pale(yes) {
  if (!yes) clearTimeout(overdue);
  for (const id of MOVING) $(id).classList.toggle("older", yes);
}

function show(found) {
  const refused = Boolean(found.error);
  $("error").hidden = !refused;
  $("error").textContent = found.error ?? "";
  $("verdict").classList.remove("waiting");
  $("verdict").classList.toggle("refused", refused);
  const place = /^row (\d), column (\d)/.exec(found.error ?? "");
  inputs().forEach((input, k) => {
    const here = place && k === (place[1] - 1) * dimension() + (place[2] - 1);
    input.classList.toggle("wrong", Boolean(here));
  });
  for (const id of ["eps", "gamma", "layers"]) $(id).classList.toggle("wrong", (found.error ?? "").startsWith(id));
  if (refused) return;
  answer = found;
  $("verdict").className = found.verdict;
  for (const id of ["word", "headline"]) $(id).textContent = found[id];
  for (const id of ["eps", "gamma"]) if (id !== source) $(id).value = found[id].startsWith("-") ? "" : found[id];
  if (document.activeElement !== $("eps-slider")) $("eps-slider").value = slideOfEps(found.mass);
  if (document.activeElement !== $("gamma-slider"))
    $("gamma-slider").value = found.mass === "inf" ? 100 : found.mass > 1 ? Math.round(100 - 100 / found.mass) : 0;
  $("layers-slider").value = $("layers").value;
  showEigenvalues(found.eigenvalues);
  showParts(found.parts);
  showUnmoved();
}

// A sentence in place of the second part: not what was the answer to another question.
function showUnmoved() {
  if (!unmoved || $("verdict").classList.contains("refused")) return;
  for (const id of MOVING) $(id).replaceChildren();
  $("witness").textContent = unmoved;
}

// What odemom sends is HTML and SVG of its own, with all that came from fields escaped.
function showParts(parts) {
  for (const [id, html] of Object.entries(parts)) $(id).innerHTML = html;
}

// ---- the address holds the question: to go on later, or to hand on ----

function remember(fields) {
  const mass = `${source}=${encodeURIComponent(fields[source])}`;
  const rows = fields.matrix.map((row) => row.map(encodeURIComponent).join(",")).join(";");
  const doubles = fields.floats ? "&floats" : "";
  history.replaceState(null, "", `#${mass}&D=${rows}&N=${encodeURIComponent(fields.layers)}${doubles}`);
}

function recall() {
  let rows = [["-3/4", "0"], ["0", "1/2"]];
  source = "eps"; // what the address does not say is as at first
  for (const [id, value] of [["eps", "1/2"], ["gamma", ""], ["layers", "12"]]) $(id).value = value;
  $("floats").checked = false;
  for (const piece of location.hash.slice(1).split("&")) {
    const [name, text = ""] = piece.split("=");
    try {
      if (name === "eps" || name === "gamma") {
        source = name;
        $(name).value = decodeURIComponent(text);
      } else if (name === "D") {
        const read = text.split(";").map((row) => row.split(",").map(decodeURIComponent));
        if (read.length <= 4 && read.every((row) => row.length === read.length)) rows = read;
      } else if (name === "N") {
        $("layers").value = decodeURIComponent(text);
      }
    } catch {
      // an address that was cut: its other pieces may be whole
    }
    if (name === "floats") $("floats").checked = true;
  }
  if (source === "gamma") $("eps").value = ""; // the answer brings it, if there is one
  setEntries(rows);
}

function start() {
  for (const id of ["eps", "gamma"]) {
    $(id).addEventListener("input", () => {
      source = id;
      ask();
    });
  }
  $("eps-slider").addEventListener("input", () => {
    source = "eps";
    $("eps").value = epsOfSlide(Number($("eps-slider").value));
    ask();
  });
  $("gamma-slider").addEventListener("input", () => {
    source = "gamma";
    $("gamma").value = trimmed($("gamma-slider").value / 100);
    ask();
  });
  $("layers").addEventListener("input", ask);
  $("layers-slider").addEventListener("input", () => {
    $("layers").value = $("layers-slider").value;
    ask();
  });
  $("floats").addEventListener("change", ask);
  $("preset").addEventListener("change", () => {
    if ($("preset").value) setEntries($("preset").value.split("; ").map((row) => row.split(" ")));
    $("preset").value = "";
    ask();
  });
  $("dimension").addEventListener("change", () => {
    const d = Number($("dimension").value);
    const old = entries();
    setEntries(Array.from({ length: d }, (_, i) => Array.from({ length: d }, (_, j) => old[i]?.[j] ?? (i === j ? "1" : "0"))));
    ask();
  });
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  for (const id of ["plane", "complex"]) $(id).addEventListener("pointerdown", grab);
  window.addEventListener("hashchange", () => {
    recall();
    ask();
  });
  recall();
  ask();
}

start();
