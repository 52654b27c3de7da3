// The curves of a job's page: training loss and held-out loss by step, in the theme's colours.
"use strict";

window.jobChart = (box, note) => {
  const points = new Map(); // step -> [training loss, held-out loss]
  let plot = null;
  let isDue = false;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const columns = () => {
    const steps = [...points.keys()].sort((a, b) => a - b);
    return [steps, steps.map((step) => points.get(step)[0]), steps.map((step) => points.get(step)[1])];
  };

  const shown = (_plot, value) => (value === null || value === undefined ? "–" : value.toFixed(4));

  const options = () => {
    const axis = {
      stroke: colour("--color-base-content"),
      grid: { stroke: colour("--color-base-300"), width: 1 },
      ticks: { stroke: colour("--color-base-300"), width: 1 },
      font: "12px system-ui, sans-serif",
    };
    return {
      width: Math.max(box.clientWidth, 200),
      height: 260,
      scales: { x: { time: false } },
      axes: [{ ...axis }, { ...axis, size: 56 }],
      cursor: { drag: { x: true, y: false } },
      series: [
        { label: "Step" },
        { label: "Training loss", stroke: colour("--color-info"), width: 1.5, spanGaps: true, points: { show: false }, value: shown },
        { label: "Held-out loss", stroke: colour("--color-primary"), width: 2, spanGaps: true, dash: [6, 3], points: { show: true, size: 7, fill: colour("--color-primary") }, value: shown },
      ],
    };
  };

  const draw = () => {
    isDue = false;
    note.hidden = points.size > 0;
    if (points.size === 0) {
      if (plot) plot.destroy();
      plot = null;
    } else if (plot) {
      plot.setData(columns());
    } else {
      plot = new uPlot(options(), columns(), box);
    }
  };

  const drawSoon = () => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(draw);
  };

  const drawAnew = () => {
    if (plot) plot.destroy();
    plot = null;
    drawSoon();
  };

  document.addEventListener("graftwork:theme", drawAnew);
  new ResizeObserver(() => {
    if (plot && Math.abs(plot.width - box.clientWidth) > 1) plot.setSize({ width: Math.max(box.clientWidth, 200), height: 260 });
  }).observe(box);

  return {
    add(event) {
      if (event.kind !== "stepped" && event.kind !== "evaluated") return;
      const { step, loss } = event.data;
      const point = points.get(step) || [null, null];
      point[event.kind === "stepped" ? 0 : 1] = loss;
      points.set(step, point);
      drawSoon();
    },
    keepUpTo(last) {
      for (const step of [...points.keys()]) if (step > last) points.delete(step);
      drawSoon();
    },
  };
};
