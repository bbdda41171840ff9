"use strict";
// What each chart of a page has beside its drawing: the table behind it, downloads, and links to it. All of it is made of the page itself.
const figures = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);

  const element = (name, text, attributes = {}) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };

  const button = (text, label, act) => {
    const made = element("button", text, { type: "button", "aria-label": label });
    made.addEventListener("click", act);
    return made;
  };

  const save = (name, blob) => {
    const link = element("a", "", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };

  const csv = ({ headings, rows }) => {
    const cell = value => value === null || value === undefined ? ""
      : /[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : String(value);
    return [headings, ...rows].map(row => row.map(cell).join(",")).join("\r\n") + "\r\n";
  };

  const table = ({ headings, rows }, caption) => {
    const made = element("table"), head = made.createTHead().insertRow(), body = made.createTBody();
    made.append(element("caption", caption, { class: "hint" }));
    for (const heading of headings) head.append(element("th", heading, { scope: "col" }));
    for (const row of rows) {
      const line = body.insertRow();
      for (const value of row) line.insertCell().textContent = value ?? "";
    }
    return made;
  };

  // The page's colours, which a drawing outside of it does not know.
  const style = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // A picture of the drawing that is shown: its title, the lines of its legend, and itself.
  const png = async figure => {
    const svg = [...figure.querySelectorAll(".drawing svg")].find(svg => svg.getBoundingClientRect().width > 0);
    const canvas = figure.querySelector("canvas");
    const box = (svg || canvas).getBoundingClientRect(), scale = 2, top = 34;
    const names = [...figure.querySelectorAll(".legend button[aria-pressed=true]")].filter(name => !name.hidden);
    const whole = Object.assign(element("canvas"), {
      width: scale * (box.width + 24), height: scale * (box.height + top + 12 + 20 * names.length),
    });
    const pen = whole.getContext("2d");
    pen.scale(scale, scale);
    pen.fillStyle = style("--ground");
    pen.fillRect(0, 0, whole.width, whole.height);
    pen.fillStyle = style("--text");
    pen.font = "600 15px system-ui, sans-serif";
    pen.fillText(figure.dataset.name, 12, 22, box.width);
    let source = canvas;
    if (svg) {
      const copy = svg.cloneNode(true);
      copy.setAttribute("color", style("--text"));
      copy.setAttribute("width", box.width);
      copy.setAttribute("height", box.height);
      source = new Image();
      source.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
      await source.decode();
    }
    pen.drawImage(source, 12, top, box.width, box.height);
    pen.font = "13px system-ui, sans-serif";
    names.forEach((name, i) => {
      const y = top + box.height + 16 + 20 * i, colour = name.dataset.colour;
      pen.fillStyle = colour;
      pen.fillRect(12, y - 9, 18, 4);
      pen.fillStyle = style("--text");
      pen.fillText(name.textContent, 38, y);
    });
    return new Promise(done => whole.toBlob(done, "image/png"));
  };

  // Gives a figure its tools. `rows` returns its headings and rows, or nothing.
  const equip = (figure, rows) => {
    const name = figure.id.replace(/^chart-/, ""), title = figure.dataset.name, box = element("div", undefined, { class: "tools" });
    box.append(button("PNG", `${title}: download as PNG`, async () => save(`${name}.png`, await png(figure))));
    if (rows) {
      box.append(button("CSV", `${title}: download as CSV`, () => save(`${name}.csv`, new Blob([csv(rows())], { type: "text/csv" }))));
      const names = { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title}, table` };
      const details = element("details"), inside = element("div", undefined, names);
      details.append(element("summary", "table"), inside);
      // Large tables are made when they are looked at.
      details.addEventListener("toggle", () => { if (details.open && !inside.firstChild) inside.append(table(rows(), title)); });
      box.append(details);
    }
    box.append(element("a", "link", { href: `#${figure.id}`, "aria-label": `${title}: link` }));
    figure.append(box);
  };

  // The name in a link such as #pod=kata-3; none in another.
  const linked = kind => {
    const [key, value] = location.hash.slice(1).split("=");
    try { return key === kind && value ? decodeURIComponent(value) : null; } catch { return value; }
  };

  // All starts, the slowest first: a table that is made when it is looked at.
  const all = document.getElementById("starts");
  const starts = () => ({
    headings: ["name", "run", "took, s", "ready", "running at creation", "node"],
    rows: data.starts.rows.map(([name, of, took, ready, atWork, node]) =>
      [name, data.starts.of[of], took, ready ? "yes" : "not when last seen", atWork, data.starts.nodes[node]]),
  });
  const listStarts = () => {
    if (all.querySelector("table")) return;
    const box = element("div", undefined, { class: "scroll", tabindex: "0", role: "region", "aria-label": "Starts, table" });
    box.append(table(starts(), "Starts"));
    for (const row of box.querySelectorAll("tbody tr")) row.dataset.pod = row.cells[0].textContent;
    all.append(button("CSV", "Starts: download as CSV", () => save("starts.csv", new Blob([csv(starts())], { type: "text/csv" }))), box);
  };
  if (all) {
    all.parentElement.hidden = false;
    all.addEventListener("toggle", () => { if (all.open) listStarts(); });
  }

  const showPod = () => {
    const name = linked("pod"), none = document.getElementById("no-pod");
    const rows = () => [...document.querySelectorAll("[data-pod]")].filter(row => row.dataset.pod === name);
    for (const row of document.querySelectorAll("tr.linked")) row.classList.remove("linked");
    if (none) none.hidden = true;
    if (name === null) return;
    // One that is not among the slowest is in the table of all.
    let found = rows();
    if (!found.length && all) { listStarts(); found = rows(); all.open = found.length > 0; }
    for (const row of found) row.classList.add("linked");
    if (found.length) { found[0].scrollIntoView({ block: "center" }); return; }
    if (!none) return;
    none.textContent = `This page has no start of ${name}; pods.csv of the run directory has all of them.`;
    none.hidden = false;
    none.scrollIntoView({ block: "center" });
  };

  // A link leads into what is folded, and paper has no folds.
  const unfold = () => {
    const target = location.hash.length > 1 && !location.hash.includes("=") && document.getElementById(location.hash.slice(1));
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  };
  const folded = () => [...document.querySelectorAll("details:not(.tools details, .hint, footer details)")].filter(one => !one.open);
  let opened = [];
  addEventListener("beforeprint", () => { opened = folded(); for (const one of opened) one.open = true; });
  addEventListener("afterprint", () => { for (const one of opened) one.open = false; });
  addEventListener("hashchange", () => { unfold(); showPod(); });

  for (const figure of document.querySelectorAll("figure.chart")) {
    const rows = data.tables[figure.id.replace(/^chart-/, "")];
    if (figure.querySelector(".drawing")) equip(figure, rows && (() => rows));
  }
  unfold();
  showPod();
  document.documentElement.dataset.figures = "true";
  return { data, element, equip, linked, style, png, csv };
})();
