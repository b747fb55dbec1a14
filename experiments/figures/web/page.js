"use strict";
// Draws the charts whose figures the page holds, in the page's own colours, and lets keys and boxes change them.

const dark = matchMedia("(prefers-color-scheme: dark)");

function colours() {
  const of = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = { gridcolor: of("--rule"), zerolinecolor: of("--rule"), linecolor: of("--rule") };
  const flat = {};
  for (const side of ["xaxis", "yaxis"]) {
    for (const [key, value] of Object.entries(axis)) flat[`${side}.${key}`] = value;
  }
  return { "font.color": of("--ink"), ...flat };
}

function draw(chart) {
  const figure = JSON.parse(chart.querySelector("script").textContent);
  const options = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
  Plotly.newPlot(chart, figure.data, figure.layout, options).then(() => Plotly.relayout(chart, colours()));
  chart.addEventListener("keydown", (event) => onKey(chart, event));
}

// How a key changes an axis: by how much of its length it moves, and by what its length is multiplied.
const KEYS = {
  ArrowLeft: ["xaxis", -0.1, 1], ArrowRight: ["xaxis", 0.1, 1], ArrowDown: ["yaxis", -0.1, 1],
  ArrowUp: ["yaxis", 0.1, 1], "+": ["xaxis", 0, 0.8], "=": ["xaxis", 0, 0.8], "-": ["xaxis", 0, 1.25],
};

function onKey(chart, event) {
  if (event.key === "0") {
    Plotly.relayout(chart, { "xaxis.autorange": true, "yaxis.autorange": true });
  } else if (event.key in KEYS) {
    const [axis, move, stretch] = KEYS[event.key];
    const [low, high] = chart._fullLayout[axis].range;
    const middle = (low + high) / 2 + move * (high - low), half = ((high - low) * stretch) / 2;
    Plotly.relayout(chart, { [`${axis}.range`]: [middle - half, middle + half] });
  } else {
    return;
  }
  event.preventDefault();
}

function onBox(figure, box) {
  for (const chart of figure.querySelectorAll(".chart")) {
    const own = chart.data.flatMap((trace, number) => (trace.name === box.value ? [number] : []));
    if (own.length) Plotly.restyle(chart, { visible: box.checked }, own);
  }
}

for (const figure of document.querySelectorAll("figure.charts")) {
  figure.querySelectorAll(".chart").forEach(draw);
  figure.querySelectorAll("input").forEach((box) => box.addEventListener("change", () => onBox(figure, box)));
}
dark.addEventListener("change", () => {
  document.querySelectorAll(".chart").forEach((chart) => Plotly.relayout(chart, colours()));
});
