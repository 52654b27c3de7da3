// The curves of a job's page, in the theme's colours: training loss and held-out loss by step, and, on an axis of its
// own, how much worse the model has become on general texts, once that was measured.
"use strict";

window.jobChart = (box, note) => {
  const points = new Map(); // step -> [training loss, held-out loss, forgetting]
  let hasForgetting = false;
  let plot = null;
  let isDue = false;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const columns = () => {
    const steps = [...points.keys()].sort((a, b) => a - b);
    const curves = hasForgetting ? [0, 1, 2] : [0, 1];
    return [steps, ...curves.map((curve) => steps.map((step) => points.get(step)[curve]))];
  };

  const shown = (_plot, value) => (value === null || value === undefined ? "–" : value.toFixed(4));
  const signed = (_plot, value) => (value === null || value === undefined ? "–" : (value > 0 ? "+" : "") + value.toFixed(3));

  const options = () => {
    const axis = {
      stroke: colour("--color-base-content"),
      grid: { stroke: colour("--color-base-300"), width: 1 },
      ticks: { stroke: colour("--color-base-300"), width: 1 },
      font: "12px system-ui, sans-serif",
    };
    const forgetting = {
      label: "Forgetting", scale: "forgetting", stroke: colour("--color-error"), width: 1.5, spanGaps: true, dash: [2, 4],
      points: { show: true, size: 6, fill: colour("--color-error") }, value: signed,
    };
    return {
      width: Math.max(box.clientWidth, 200),
      height: 260,
      // Without forgetting the line is flat at zero; a scale that ends there would make noise look like a fall.
      scales: { x: { time: false }, forgetting: { range: (_plot, low, high) => [Math.min(low ?? 0, -0.05), Math.max(high ?? 0, 0.1)] } },
      axes: [
        { ...axis },
        { ...axis, size: 56 },
        ...(hasForgetting ? [{ ...axis, scale: "forgetting", side: 1, size: 56, grid: { show: false } }] : []),
      ],
      cursor: { drag: { x: true, y: false } },
      series: [
        { label: "Step" },
        { label: "Training loss", stroke: colour("--color-info"), width: 1.5, spanGaps: true, points: { show: false }, value: shown },
        { label: "Held-out loss", stroke: colour("--color-primary"), width: 2, spanGaps: true, dash: [6, 3], points: { show: true, size: 7, fill: colour("--color-primary") }, value: shown },
        ...(hasForgetting ? [forgetting] : []),
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
      const { step, loss, forgetting = null } = event.data;
      const point = points.get(step) || [null, null, null];
      point[event.kind === "stepped" ? 0 : 1] = loss;
      if (forgetting !== null) point[2] = forgetting;
      points.set(step, point);
      if (forgetting === null || hasForgetting) return drawSoon();
      hasForgetting = true;
      drawAnew();
    },
    keepUpTo(last) {
      for (const step of [...points.keys()]) if (step > last) points.delete(step);
      drawSoon();
    },
  };
};
