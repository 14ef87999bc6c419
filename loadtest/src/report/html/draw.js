// Numbers as people read them, and the few shapes that every chart is made of.
"use strict";
const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);
const count = (value) => Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, ",");
const percent = (part, whole) => (whole ? (part * 100 / whole).toFixed(2) + " %" : "-");

function time(ns) {
  if (ns < 1000) return Math.round(ns) + " ns";
  const [value, unit] = ns < 1e6 ? [ns / 1e3, "µs"] : ns < 1e9 ? [ns / 1e6, "ms"] : [ns / 1e9, "s"];
  return value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0) + " " + unit;
}
// For axes, where the values are round.
function shortTime(ns) {
  const [value, unit] = ns < 1e3 ? [ns, "ns"] : ns < 1e6 ? [ns / 1e3, "µs"] : ns < 1e9 ? [ns / 1e6, "ms"] : [ns / 1e9, "s"];
  return Number(value.toPrecision(3)) + " " + unit;
}

// An element of the page: text is always text, never markup.
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}
function shape(parent, name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}
// Columns are [title, is a number]; cells are text or elements.
function table(columns, rows) {
  const cell = (name, content, numeric) => element(name, numeric ? { class: "n" } : {}, content);
  const head = element("tr", {}, ...columns.map(([title, numeric]) => cell("th", title, numeric)));
  const body = rows.map((row) => element("tr", {}, ...row.map((content, at) => cell("td", content, columns[at][1]))));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
}

// About `wanted` round steps from 0 up to at least `top`.
function ticks(top, wanted) {
  const rough = Math.max(top, 1e-9) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const list = [];
  for (let value = 0; value < top + step; value += step) list.push(Number(value.toPrecision(12)));
  return list;
}
const linear = (from, to, low, high) => (value) => low + (value - from) / (to - from || 1) * (high - low);
const logarithmic = (from, to, low, high) => {
  const line = linear(Math.log10(from), Math.log10(to), low, high);
  return (value) => line(Math.log10(Math.max(value, from)));
};
// The powers of ten around a range of times.
function decades(values) {
  const seen = values.filter((value) => value > 0);
  if (seen.length === 0) return [1e5, 1e6];
  const low = Math.floor(Math.log10(Math.min(...seen))), high = Math.ceil(Math.log10(Math.max(...seen)));
  return Array.from({ length: Math.max(high, low + 1) - low + 1 }, (_, step) => 10 ** (low + step));
}

// An empty chart: axes are drawn by the caller, inside the frame.
function frame(id, width, height) {
  const svg = shape(byId(id), "svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  return { svg, left: 64, right: width - 14, top: 10, bottom: height - 30 };
}
function axes(plot, x, xTicks, xLabel, y, yTicks, yLabel) {
  for (const value of yTicks) {
    shape(plot.svg, "line", { class: "grid", x1: plot.left, x2: plot.right, y1: y(value), y2: y(value) });
    shape(plot.svg, "text", { x: plot.left - 8, y: y(value) + 4, "text-anchor": "end" }, yLabel(value));
  }
  for (const value of xTicks) {
    shape(plot.svg, "text", { x: x(value), y: plot.bottom + 18, "text-anchor": "middle" }, xLabel(value));
    shape(plot.svg, "line", { class: "axis", x1: x(value), x2: x(value), y1: plot.bottom, y2: plot.bottom + 4 });
  }
  shape(plot.svg, "line", { class: "axis", x1: plot.left, x2: plot.right, y1: plot.bottom, y2: plot.bottom });
}
// A line through points; a gap where y is null.
function line(plot, points, colour, dashed, width) {
  let path = "", pen = "M";
  for (const [x, y] of points) {
    if (y === null) { pen = "M"; continue; }
    path += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = "L";
  }
  const style = { d: path, fill: "none", stroke: colour, "stroke-width": width || (dashed ? 1.6 : 2), "stroke-linejoin": "round", "stroke-linecap": "round" };
  if (dashed) style["stroke-dasharray"] = "5 4";
  shape(plot.svg, "path", style);
  // A single second has no line.
  if (points.length === 1 && points[0][1] !== null) shape(plot.svg, "circle", { cx: points[0][0], cy: points[0][1], r: 3, fill: colour });
}
function legend(id, entries) {
  const items = entries.map(([name, colour, dashed]) =>
    element("span", {}, element("i", { class: dashed ? "dashed" : "", style: `border-color:${colour}` }), name));
  byId(id).prepend(element("div", { class: "legend" }, ...items));
}

// Shows lines of text beside the pointer while it is over a chart; `find` turns a place into [place of a mark, lines].
function hover(plot, find) {
  const mark = shape(plot.svg, "line", { class: "axis", y1: plot.top, y2: plot.bottom, visibility: "hidden" });
  const tip = byId("tip");
  plot.svg.addEventListener("pointermove", (event) => {
    const box = plot.svg.getBoundingClientRect(), view = plot.svg.viewBox.baseVal;
    const x = (event.clientX - box.left) * view.width / box.width;
    const y = (event.clientY - box.top) * view.height / box.height;
    const found = x >= plot.left && x <= plot.right ? find(x, y) : null;
    mark.setAttribute("visibility", found ? "visible" : "hidden");
    tip.hidden = !found;
    if (!found) return;
    mark.setAttribute("x1", found[0]);
    mark.setAttribute("x2", found[0]);
    tip.replaceChildren(...found[1].map((text) => element("div", {}, text)));
    const flip = event.clientX > window.innerWidth * 0.65;
    tip.style.left = `${event.pageX + (flip ? -tip.offsetWidth - 14 : 14)}px`;
    tip.style.top = `${event.pageY + 14}px`;
  });
  plot.svg.addEventListener("pointerleave", () => { mark.setAttribute("visibility", "hidden"); tip.hidden = true; });
}
