"use strict";
// Draws the charts of a report. Everything that is drawn is in the element #data; nothing is fetched.
(() => {
  const { data, element, equip, linked, style } = figures;
  const HEIGHT = 300;
  const STALE = "b0"; // of ff: how opaque what is stale is
  let mode = "step";
  let zoom = null; // [min, max] of all charts along the run; null is the whole
  let syncing = false;
  let step = null; // that is looked at
  const charts = data.charts.map(chart => ({ chart, shown: chart.series.map(line => !line.hidden), plot: null }));

  const colour = line => data.palette[line.colour % data.palette.length];
  const xs = (chart, line) => (chart.x === null ? line[mode] : line.step);
  const format = value => value === null || value === undefined ? "–"
    : Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(4)));

  const staleFlags = line => {
    const flags = new Uint8Array(line.value.length);
    for (const [from, to] of line.stale) flags.fill(1, from, to);
    return flags;
  };

  // A table of the points for which something holds; the others are gaps in it. Points of one x are kept a hair apart.
  const table = (x, y, holds) => {
    const columns = [[], []];
    let last = -Infinity;
    for (let i = 0; i < x.length; i++) {
      if (x[i] === null) continue;
      const at = x[i] > last ? x[i] : last + Math.max(1, Math.abs(last)) * 1e-9;
      last = at;
      columns[0].push(at);
      columns[1].push(y[i] !== null && holds(i) ? y[i] : null);
    }
    return columns;
  };

  // What is drawn for a line: what is fresh, what is stale, and fresh points that stand alone between stale ones.
  const parts = (chart, line) => {
    const x = xs(chart, line), y = line.value, stale = staleFlags(line);
    if (line.kind !== "line") return [{ kind: line.kind, columns: table(x, y, () => true) }];
    const there = i => i >= 0 && i < y.length && y[i] !== null;
    const alone = i => !stale[i] && !(there(i - 1) && !stale[i - 1]) && !(there(i + 1) && !stale[i + 1]);
    const found = [{ kind: "line", columns: table(x, y, i => !stale[i]) }];
    if (line.stale.length > 0) {
      found.unshift({ kind: "stale", columns: table(x, y, i => stale[i] || stale[i - 1] || stale[i + 1]) });
    }
    if (y.some((_, i) => there(i) && alone(i))) found.push({ kind: "dots", columns: table(x, y, alone) });
    return found;
  };

  const stroke = (line, part) => {
    const plain = colour(line);
    const common = { spanGaps: false, points: { show: false } };
    switch (part.kind) {
      case "stale": return { ...common, stroke: plain + STALE, width: 1.25, dash: [2, 2] };
      case "dots": return { stroke: plain, paths: () => null, points: { show: true, size: 5, fill: plain, stroke: plain, width: 0 } };
      case "rings": return { stroke: plain, paths: () => null, points: { show: true, size: 7, fill: style("--ground"), stroke: plain, width: 1.5 } };
      default: return { ...common, stroke: plain, width: 1.75, dash: line.dash || undefined };
    }
  };

  const extent = () => {
    let min = Infinity, max = -Infinity;
    for (const { chart } of charts) {
      if (chart.x !== null) continue;
      for (const line of chart.series) for (const x of line[mode]) {
        if (x !== null) { min = Math.min(min, x); max = Math.max(max, x); }
      }
    }
    return min < max ? [min, max] : [0, 1];
  };

  // Charts of one kind have the same axis, so that runs can be read beside each other: nodes-1, nodes-2.
  const kind = chart => chart.id.replace(/-\d+$/, "");
  const heights = chart => {
    let min = 0, max = 0;
    for (const view of charts) {
      if (kind(view.chart) !== kind(chart)) continue;
      view.chart.series.forEach((line, i) => {
        if (view.shown[i]) for (const y of line.value) if (y !== null) { min = Math.min(min, y); max = Math.max(max, y); }
      });
    }
    return [min, max > min ? max + (max - min) * 0.05 : min + 1];
  };

  // Where a step is: by steps at its number, by time where the first run that has it was then.
  const placeOf = step => {
    if (mode === "step") return step;
    for (const { chart } of charts) {
      if (chart.x !== null) continue;
      for (const line of chart.series) {
        const at = line.step.indexOf(step);
        if (at >= 0 && line.seconds[at] !== null) return line.seconds[at];
      }
    }
    return null;
  };

  const drawStep = plot => {
    const at = step === null ? null : placeOf(step);
    if (at === null || at < plot.scales.x.min || at > plot.scales.x.max) return;
    const context = plot.ctx, x = plot.valToPos(at, "x", true);
    context.save();
    context.strokeStyle = style("--accent");
    context.lineWidth = 2 * devicePixelRatio;
    context.strokeRect(x, plot.bbox.top, 0, plot.bbox.height);
    context.restore();
  };

  // The figures of a step, of all lines that are shown along the run.
  const showStep = () => {
    const box = document.getElementById("selected");
    box.hidden = step === null;
    document.getElementById("step").value = step ?? "";
    box.replaceChildren();
    if (step === null) return;
    const table = element("table"), body = table.createTBody();
    for (const view of charts) {
      if (view.chart.x !== null) continue;
      view.chart.series.forEach((line, i) => {
        const at = line.step.indexOf(step);
        if (!view.shown[i] || at < 0 || line.value[at] === null) return;
        const row = body.insertRow(), isStale = line.stale.some(([from, to]) => at >= from && at < to);
        row.append(element("th", `${view.chart.title}: ${line.label}`, { scope: "row" }));
        row.insertCell().textContent = `${format(line.value[at])} ${view.chart.y}${isStale ? " (stale)" : ""}`;
      });
    }
    box.append(element("b", `Step ${step}`));
    box.append(body.rows.length ? table : element("p", "No figure was recorded at this step."));
  };

  // Looks at a step, or at none, and says so in the address.
  const select = (number, isLinked) => {
    step = number;
    showStep();
    for (const { plot, chart } of charts) if (plot && chart.x === null) plot.redraw(false);
    if (!isLinked) history.replaceState(null, "", step === null ? location.pathname + location.search : `#step=${step}`);
  };

  const steps = () => {
    const all = new Set();
    for (const { chart } of charts) if (chart.x === null) for (const line of chart.series) for (const at of line.step) if (Number.isInteger(at)) all.add(at);
    return [...all].sort((a, b) => a - b);
  };

  const onKey = event => {
    const all = steps(), move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") { select(null); zoomTo(null); }
    if (!move || !all.length) return;
    event.preventDefault();
    const at = step === null ? (move > 0 ? -1 : all.length) : all.indexOf(step);
    select(all[Math.min(all.length - 1, Math.max(0, at + move))]);
  };

  const drawMarks = chart => plot => {
    const context = plot.ctx, ratio = devicePixelRatio;
    context.save();
    context.font = `600 ${11 * ratio}px system-ui, sans-serif`;
    context.textAlign = "center";
    let taken = -Infinity; // up to where letters stand
    for (const mark of [...data.marks].sort((a, b) => a[mode] - b[mode])) {
      const at = mark[mode];
      if (chart.run !== null && chart.run !== mark.run) continue;
      if (at === null || at < plot.scales.x.min || at > plot.scales.x.max) continue;
      const x = plot.valToPos(at, "x", true);
      const place = Math.max(x, taken);
      taken = place + 9 * ratio;
      context.strokeStyle = data.palette[mark.colour];
      context.fillStyle = style("--text");
      context.lineWidth = ratio;
      context.setLineDash([4 * ratio, 3 * ratio]);
      context.beginPath();
      context.moveTo(x, plot.bbox.top);
      context.lineTo(x, plot.bbox.top + plot.bbox.height);
      context.stroke();
      context.fillText(mark.letter, place, plot.bbox.top - 4 * ratio);
    }
    context.restore();
  };

  // The index of the point next to an x.
  const nearest = (x, at) => {
    let low = 0, high = x.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (x[middle] !== null && x[middle] < at) low = middle + 1; else high = middle;
    }
    return low > 0 && Math.abs(x[low - 1] - at) < Math.abs(x[low] - at) ? low - 1 : low;
  };

  const readOut = view => {
    const { plot, chart, at, outputs } = view;
    const left = plot.cursor.left;
    const inside = left !== undefined && left >= 0;
    const x = inside ? plot.posToVal(left, "x") : null;
    const unit = chart.x === null ? (mode === "step" ? "step " : "s ") : "";
    // Numbers of steps and instances are whole, times are not.
    const place = inside && (chart.x === null || plot.scales.x.max - plot.scales.x.min > 20) ? Math.round(x) : x;
    at.textContent = !inside ? "" : mode === "seconds" && chart.x === null ? `${format(x)} s` : `${unit}${format(place)}${chart.x === null ? "" : " " + chart.x}`;
    chart.series.forEach((line, i) => {
      const values = xs(chart, line);
      const index = inside && values.length ? nearest(values, x) : -1;
      const isStale = index >= 0 && line.stale.some(([from, to]) => index >= from && index < to);
      outputs[i].textContent = index < 0 ? "" : format(line.value[index]) + (isStale ? " (stale)" : "");
    });
  };

  const zoomTo = range => {
    zoom = range;
    document.getElementById("reset").disabled = range === null;
    const [min, max] = range || extent();
    syncing = true;
    for (const { chart, plot } of charts) if (plot && chart.x === null) plot.setScale("x", { min, max });
    syncing = false;
  };

  // Names at the ends of lines, where they are few.
  const drawNames = view => plot => {
    const shown = view.chart.series.filter((line, i) => view.shown[i] && line.kind === "line");
    if (shown.length < 2 || shown.length > 4) return;
    // What all of them are called, and which repeat a line is, need not stand at each.
    const kinds = new Set(shown.map(line => line.label.split(" — ")[0])), colours = new Set(shown.map(line => line.colour));
    const nameOf = ({ label }) => {
      const name = kinds.size === 1 && label.includes(" — ") ? label.split(" — ")[1] : label;
      return colours.size < shown.length ? name.replace(/ \d+$/, "") : name;
    };
    const context = plot.ctx, ratio = devicePixelRatio, taken = [], named = new Set();
    context.save();
    context.font = `${11 * ratio}px system-ui, sans-serif`;
    context.textAlign = "right";
    for (const line of shown) {
      const x = xs(view.chart, line);
      // What is recorded of the hold and the removal lies between steps.
      const isThere = i => line.value[i] !== null && x[i] !== null && x[i] <= plot.scales.x.max;
      let at = x.findLastIndex((_, i) => isThere(i) && (view.chart.x !== null || Number.isInteger(line.step[i])));
      if (at < 0) at = x.findLastIndex((_, i) => isThere(i));
      if (at < 0 || named.has(nameOf(line)) || x[at] < plot.scales.x.min) continue;
      let y = plot.valToPos(line.value[at], "y", true) - 8 * ratio;
      y = Math.max(y, plot.bbox.top + 11 * ratio);
      while (taken.some(other => Math.abs(other - y) < 13 * ratio)) y += 13 * ratio;
      taken.push(y);
      named.add(nameOf(line));
      const right = Math.min(plot.valToPos(x[at], "x", true), plot.bbox.left + plot.bbox.width) - 4 * ratio;
      context.lineWidth = 3 * ratio;
      context.strokeStyle = style("--ground");
      context.strokeText(nameOf(line), right, y);
      context.fillStyle = style("--text");
      context.fillText(nameOf(line), right, y);
    }
    context.restore();
  };

  const swatch = line => {
    const plain = colour(line);
    const shape = line.kind === "line"
      ? `<line x1="0" y1="6" x2="24" y2="6" stroke="${plain}" stroke-width="2.5"${line.dash ? ` stroke-dasharray="${line.dash.join(" ")}"` : ""}/>`
      : `<circle cx="12" cy="6" r="${line.kind === "dots" ? 3 : 4}" stroke="${plain}" stroke-width="1.5" fill="${line.kind === "dots" ? plain : "none"}"/>`;
    return `<svg width="24" height="12" aria-hidden="true">${shape}</svg>`;
  };

  const legend = view => {
    const { chart, figure } = view;
    const box = figure.querySelector(".legend");
    box.replaceChildren();
    view.at = document.createElement("span");
    view.at.className = "at";
    view.outputs = [];
    chart.series.forEach((line, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", String(view.shown[i]));
      button.dataset.colour = colour(line);
      button.innerHTML = swatch(line);
      const name = document.createElement("span");
      name.textContent = line.label;
      const output = document.createElement("output");
      button.append(name, output);
      button.hidden = line.hidden;
      view.outputs.push(output);
      button.addEventListener("click", () => {
        view.shown[i] = !view.shown[i];
        button.setAttribute("aria-pressed", String(view.shown[i]));
        view.of.forEach((series, at) => { if (series === i) view.plot.setSeries(at + 1, { show: view.shown[i] }); });
        for (const other of charts) if (other !== view && other.plot && kind(other.chart) === kind(chart)) other.plot.redraw(true, true);
      });
      box.append(button);
    });
    const rest = chart.series.filter(line => line.hidden).length;
    if (rest > 0) {
      const more = document.createElement("button");
      more.type = "button";
      more.className = "more";
      more.textContent = `+ ${rest} more`;
      more.addEventListener("click", () => {
        more.remove();
        for (const button of box.querySelectorAll("button")) button.hidden = false;
      });
      box.append(more);
    }
    box.append(view.at);
  };

  const draw = view => {
    const { chart, figure } = view;
    const box = figure.querySelector(".plot");
    if (view.plot) view.plot.destroy();
    const along = chart.x === null;
    const all = chart.series.flatMap((line, i) => parts(chart, line).map(part => ({ i, line, part })));
    view.of = all.map(({ i }) => i);
    const axis = { stroke: style("--quiet"), grid: { stroke: style("--grid"), width: 1 }, ticks: { stroke: style("--grid"), width: 1 }, labelSize: 20, labelGap: 2, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif" };
    const options = {
      width: box.clientWidth || 600,
      height: HEIGHT,
      padding: [along ? 18 : 10, 10, 0, 0],
      legend: { show: false },
      scales: {
        x: { time: false },
        y: { range: (_, min, max) => { const low = Math.min(0, min ?? 0), high = max ?? 1; return [low, high > low ? high + (high - low) * 0.05 : low + 1]; } },
      },
      axes: [
        { ...axis, label: along ? (mode === "step" ? "step" : "seconds since the run began") : chart.x },
        { ...axis, label: chart.y, size: (_, values) => 26 + 7 * Math.max(2, ...(values || []).map(value => value.length)) },
      ],
      cursor: { drag: { x: true, y: false }, sync: along ? { key: "run", scales: ["x", null], setSeries: false } : undefined, points: { show: false } },
      series: [{}, ...all.map(({ i, line, part }) => ({ ...stroke(line, part), label: line.label, show: view.shown[i] }))],
      hooks: {
        draw: along ? [drawMarks(chart), drawStep, drawNames(view)] : [drawNames(view)],
        setCursor: [() => view.plot && view.outputs && readOut(view)],
        setScale: [(plot, key) => {
          if (key !== "x" || syncing || !along || !view.plot) return;
          const { min, max } = plot.scales.x, [from, to] = extent();
          zoomTo(min <= from && max >= to ? null : [min, max]);
        }],
      },
    };
    // The lines' own tables, as one with a common x.
    const joined = uPlot.join(all.map(({ part }) => part.columns), all.map(() => [0, 2]));
    view.plot = null;
    const plot = new uPlot(options, joined, box);
    view.plot = plot;
    // A click looks at the step below it; a drag zooms.
    let from = 0;
    plot.over.addEventListener("mousedown", event => { from = event.clientX; });
    plot.over.addEventListener("click", event => {
      if (!along || Math.abs(event.clientX - from) > 3) return;
      const at = plot.posToVal(event.clientX - plot.over.getBoundingClientRect().left, "x"), all = steps();
      if (all.length) select(all[nearest(all.map(placeOf), at)]);
    });
    plot.over.addEventListener("dblclick", () => { if (along) setTimeout(() => zoomTo(null)); });
    figure.dataset.drawn = mode;
  };

  const drawAll = () => {
    charts.forEach(draw);
    zoomTo(zoom);
  };

  // All points of a chart, as a table.
  const rows = ({ chart }) => {
    const along = chart.x === null;
    const table = { headings: along ? ["line", "step", "seconds", chart.y, "stale"] : ["line", chart.x, chart.y], rows: [] };
    for (const line of chart.series) {
      const stale = staleFlags(line);
      line.value.forEach((y, i) => {
        if (y !== null) table.rows.push(along ? [line.label, line.step[i], line.seconds[i], y, stale[i] ? "stale" : ""] : [line.label, line.step[i], y]);
      });
    }
    return table;
  };

  for (const view of charts) {
    view.figure = document.getElementById(`chart-${view.chart.id}`);
    legend(view);
    equip(view.figure, () => rows(view));
    if (view.chart.x === null) view.figure.querySelector(".plot").addEventListener("keydown", onKey);
  }
  const marks = document.getElementById("marks");
  for (const mark of data.marks) {
    const item = document.createElement("li"), letter = document.createElement("b");
    letter.textContent = mark.letter;
    letter.className = "key-letter";
    letter.style.borderColor = data.palette[mark.colour];
    item.append(letter, mark.label);
    marks.append(item);
  }
  for (const button of document.querySelectorAll("[data-mode]")) {
    button.addEventListener("click", () => {
      if (mode === button.dataset.mode) return;
      mode = button.dataset.mode;
      zoom = null;
      for (const other of document.querySelectorAll("[data-mode]")) other.setAttribute("aria-pressed", String(other === button));
      drawAll();
    });
  }
  // Files of the study may lack times.
  if (charts.some(({ chart }) => chart.x === null && chart.series.some(line => line.seconds.every(at => at === null)))) {
    document.querySelector("[data-mode=seconds]").disabled = true;
  }
  document.getElementById("reset").addEventListener("click", () => zoomTo(null));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  new ResizeObserver(() => {
    for (const { plot, figure } of charts) {
      const width = figure.querySelector(".plot").clientWidth;
      if (plot && width && width !== plot.width) plot.setSize({ width, height: HEIGHT });
    }
  }).observe(document.querySelector(".charts"));
  document.getElementById("step").addEventListener("change", event => {
    const number = parseInt(event.target.value, 10);
    select(Number.isNaN(number) ? null : number);
  });
  const follow = () => {
    const number = parseInt(linked("step"), 10);
    if (Number.isNaN(number)) { if (step !== null) select(null, true); return; }
    select(number, true);
    document.getElementById("selected").scrollIntoView({ block: "center" });
  };
  addEventListener("hashchange", follow);
  drawAll();
  follow();
  document.documentElement.dataset.ready = "true";
})();
