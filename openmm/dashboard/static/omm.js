// Patches the dashboard's pages. Whatever arrives is put into the page as text, never as markup.
"use strict";
window.omm = (() => {
  const QUIET_MS = 3000; // without a word from the gateway for so long, nothing shown is current
  const cells = new Map(), charts = {};
  let heard = 0, windowMs = 15 * 60e3, ended = false;

  const find = (key) => {
    let known = cells.get(key);
    if (!known || !known.length || known.some((one) => !one.isConnected)) {
      known = [...document.querySelectorAll(`[data-k="${key}"]`)];
      cells.set(key, known);
    }
    return known;
  };

  // ------------------------------------------------------------------ cells and rows
  function put(patch) {
    heard = performance.now();
    for (const [key, text] of Object.entries(patch.text || {}))
      for (const one of find(key)) if (one.textContent !== text) one.textContent = text;
    for (const [key, tone] of Object.entries(patch.tone || {}))
      for (const one of find(key)) one.dataset.tone = tone;
    for (const [key, [from, to, tone]] of Object.entries(patch.bar || {})) {
      for (const one of document.querySelectorAll(`[data-bar="${key}"]`)) span(one.firstChild, from, to, tone);
      for (const one of document.querySelectorAll(`[data-pin="${key}"]`)) one.style.left = `${from}%`;
    }
    for (const [name, table] of Object.entries(patch.rows || {})) rows(name, table);
    const more = patch.more || {};
    if ("alive" in more) document.body.classList.toggle("dead", !more.alive);
    if ("risk" in more) document.body.dataset.risk = more.risk;
    if ("running" in more) document.body.classList.toggle("stopped", !more.running);
    if (more.title) document.title = more.title;
    document.body.classList.add("heard");
    document.body.classList.remove("lost");
  }

  function span(bar, from, to, tone) {
    bar.style.left = `${from}%`;
    bar.style.width = `${Math.max(0, to - from)}%`;
    bar.dataset.tone = tone;
  }

  function rows(name, table) {
    for (const body of document.querySelectorAll(`[data-rows="${name}"]`)) {
      while (body.rows.length > table.n) body.deleteRow(-1);
      const heads = body.parentElement.tHead ? [...body.parentElement.tHead.rows[0].cells] : [];
      const indices = Object.keys(table.r).map(Number).sort((a, b) => a - b);
      for (const index of indices) {
        const row = table.r[index];
        while (body.rows.length <= index) body.insertRow(-1);
        const line = body.rows[index];
        line.className = row.t;
        if ((line.dataset.id || "") !== row.id) line.dataset.id = row.id;
        if (row.id) line.tabIndex = 0;
        else line.removeAttribute("tabindex");
        row.c.forEach((cell, at) => draw(line, at, cell, heads[at]));
        while (line.cells.length > row.c.length) line.deleteCell(-1);
      }
      for (const none of document.querySelectorAll(`[data-empty="${name}"]`)) { none.textContent = none.dataset.say; none.hidden = table.n > 0; }
    }
  }

  function draw(line, at, cell, head) {
    const one = line.cells[at] || line.insertCell(-1);
    const [text, tone, more] = typeof cell === "string" ? [cell, "", null] : cell;
    const kind = `${head ? head.className : ""} ${tone || ""}`.trim();
    if (one.className !== kind) one.className = kind;
    if (head && one.dataset.label !== head.textContent) one.dataset.label = head.textContent;
    const title = (more && more.title) || "";
    if (one.title !== title) one.title = title;
    let target = one;
    if (more && more.href) {
      target = one.querySelector("a") || one.appendChild(document.createElement("a"));
      if (target.getAttribute("href") !== more.href) target.setAttribute("href", more.href);
    }
    if (more && (more.span || more.pin !== undefined)) return gauge(one, more, tone, text);
    if (more && more.bar !== undefined) one.style.setProperty("--bar", `${more.bar}%`);
    else if (one.style.length) one.style.removeProperty("--bar");
    if (target.textContent !== text) target.textContent = text;
  }

  function gauge(cell, more, tone, text) {
    let box = cell.querySelector(".gauge");
    if (!box) {
      cell.textContent = "";
      box = cell.appendChild(document.createElement("div"));
      box.className = "gauge";
      const bar = box.appendChild(document.createElement("div"));
      bar.className = "bar";
      bar.appendChild(document.createElement("i"));
      box.appendChild(document.createElement("b")).className = "pin";
      cell.appendChild(document.createElement("span")).className = "said";
    }
    span(box.querySelector("i"), more.span[0], more.span[1], tone);
    box.querySelector("b").style.left = `${more.pin === undefined ? 50 : more.pin}%`;
    const said = cell.querySelector(".said");
    if (said.textContent !== text) said.textContent = text;
  }

  // ------------------------------------------------------------------ plots
  const colour = (name) => getComputedStyle(document.body).getPropertyValue(`--${name}`).trim();
  const plain = (value) => value.toLocaleString("en-US", { maximumFractionDigits: 8 });

  function axes(format) {
    const line = { lineStyle: { color: colour("line") } };
    return {
      animation: false,
      grid: { left: 8, right: 8, top: 26, bottom: 4, containLabel: true },
      textStyle: { fontFamily: colour("mono"), fontSize: 11, color: colour("dim") },
      legend: {
        top: 0, right: 0, itemWidth: 14, itemHeight: 8, itemGap: 12,
        textStyle: { color: colour("dim"), fontSize: 11 }, inactiveColor: colour("line"),
      },
      tooltip: {
        trigger: "axis", confine: true, backgroundColor: colour("raised"), borderColor: colour("line"),
        textStyle: { color: colour("ink"), fontSize: 11 }, axisPointer: { lineStyle: { color: colour("dim") } },
        valueFormatter: (value) => (value == null ? "–" : plain(Array.isArray(value) ? value[1] : value)),
      },
      xAxis: {
        type: "time", axisLine: line, axisTick: line, splitLine: { show: false },
        axisLabel: { color: colour("dim"), hideOverlap: true, formatter: utc },
        axisPointer: { label: { formatter: (at) => utc(at.value) } },
      },
      yAxis: {
        type: "value", scale: true, position: "right", splitLine: { lineStyle: { color: colour("line"), opacity: 0.6 } },
        axisLabel: { color: colour("dim"), formatter: format || plain, hideOverlap: true }, axisLine: { show: false },
      },
    };
  }
  const utc = (ms) => new Date(ms).toISOString().slice(11, 19);
  const line = (name, tone, more) => ({
    name, type: "line", showSymbol: false, symbol: "none", connectNulls: false, step: false, silent: false,
    lineStyle: { width: 1.4, color: colour(tone), ...(more || {}).line }, itemStyle: { color: colour(tone) }, ...((more || {}).rest || {}),
  });

  // In the legend a line is a line, whatever its series' symbol.
  const dash = "path://M0,0 L14,0 L14,3 L0,3 Z";
  const named = (lines, others) => {
    const made = axes();
    made.legend.data = [...lines.map((name) => ({ name, icon: dash })), ...(others || []).map((name) => ({ name, icon: "triangle" }))];
    return made;
  };

  const KINDS = {
    price: () => ({
      ...named(["reference", "best bid", "best ask", "our bid", "our ask"], ["bought", "sold"]),
      series: [
        line("reference", "info", { line: { width: 1.8 } }),
        line("best bid", "buy", { line: { opacity: 0.55, width: 1 } }),
        line("best ask", "sell", { line: { opacity: 0.55, width: 1 } }),
        line("our bid", "ours", { line: { type: "dashed" }, rest: { step: "end" } }),
        line("our ask", "ours", { line: { type: "dashed" }, rest: { step: "end" } }),
        { name: "bought", type: "scatter", symbol: "triangle", symbolSize: 9, itemStyle: { color: colour("buy"), borderColor: colour("panel"), borderWidth: 1 }, z: 5 },
        { name: "sold", type: "scatter", symbol: "triangle", symbolRotate: 180, symbolSize: 9, itemStyle: { color: colour("sell"), borderColor: colour("panel"), borderWidth: 1 }, z: 5 },
      ],
    }),
    net: () => ({ ...named(["net P&L"]), series: [line("net P&L", "info", { rest: { areaStyle: { color: colour("info"), opacity: 0.12, origin: "start" } } })] }),
    inventory: () => ({
      ...named(["held", "target"]),
      series: [line("held", "ours", { rest: { step: "end" } }), line("target", "dim", { line: { type: "dashed" } })],
    }),
    depth: () => ({
      ...axes(),
      legend: { show: false },
      grid: { left: 8, right: 8, top: 8, bottom: 4, containLabel: true },
      xAxis: { type: "value", scale: true, axisLine: { show: false }, splitLine: { show: false }, axisLabel: { color: colour("dim"), hideOverlap: true, formatter: plain, showMinLabel: false, showMaxLabel: false }, min: "dataMin", max: "dataMax", splitNumber: 3 },
      yAxis: { ...axes().yAxis, scale: false, splitNumber: 2 },
      series: [
        line("bids", "buy", { rest: { step: "end", areaStyle: { color: colour("buy"), opacity: 0.18 } } }),
        line("asks", "sell", { rest: { step: "start", areaStyle: { color: colour("sell"), opacity: 0.18 } } }),
        { name: "ours", type: "scatter", symbol: "diamond", symbolSize: 8, itemStyle: { color: colour("ours") } },
      ],
    }),
  };

  // Names a plot's NiceGUI element; its chart is there a moment later.
  function plot(kind, id) {
    charts[kind] = { id, dressed: false };
    paint();
  }
  const chartOf = (one) => {
    const found = getElement(one.id);
    return found && found.chart;
  };

  const past = { points: [], marks: [] };
  function history(news) {
    if (news.fresh) { past.points = []; past.marks = []; }
    past.points.push(...news.points);
    past.marks.push(...news.marks);
    if (past.points.length > 3600) past.points.splice(0, past.points.length - 3600);
    if (past.marks.length > 500) past.marks.splice(0, past.marks.length - 500);
    paint();
  }

  let book = null;
  function depth(news) { book = news; paint(["depth"]); }

  function thin(points) {
    const step = Math.ceil(points.length / 900);
    return step < 2 ? points : points.filter((_, at) => at % step === 0 || at === points.length - 1);
  }

  function paint(only) {
    if (document.hidden) return;
    const last = past.points.length ? past.points[past.points.length - 1][0] : Date.now();
    const since = last - windowMs;
    const points = thin(past.points.filter((one) => one[0] >= since));
    const column = (at) => points.map((one) => [one[0], one[at]]);
    const marks = past.marks.filter((one) => one[0] >= since);
    const data = {
      price: () => [
        ...[1, 2, 3, 4, 5].map((at) => ({ data: column(at) })),
        { data: marks.filter((one) => one[2]).map((one) => [one[0], one[1]]) },
        { data: marks.filter((one) => !one[2]).map((one) => [one[0], one[1]]) },
      ],
      net: () => [{ data: column(8) }],
      inventory: () => [{ data: column(6) }, { data: column(7) }],
      depth: () => (book ? [{ data: book.bids }, { data: book.asks }, { data: book.ours }] : []),
    };
    for (const kind of only || Object.keys(charts)) {
      const one = charts[kind], chart = one && chartOf(one);
      if (!chart) { if (one && !one.again) { one.again = setTimeout(() => { one.again = 0; paint([kind]); }, 100); } continue; }
      if (!one.dressed) { 
        const made = KINDS[kind]();
        if (kind === "price" && chart.getWidth() < 620) made.grid.top = 46; // its legend takes two lines
        chart.setOption(made, { notMerge: true });
        one.dressed = true;
       }
      const span = kind === "depth" ? {} : { xAxis: { min: Math.max(since, points.length ? points[0][0] : since), max: last } };
      chart.setOption({ series: data[kind](), ...span }, { lazyUpdate: true });
    }
  }

  function dress() {
    for (const one of Object.values(charts)) one.dressed = false;
    paint();
  }

  // ------------------------------------------------------------------ theme, keys, connection
  const THEMES = ["auto", "light", "dark"];
  const theme = () => localStorage.getItem("omm-theme") || "auto";
  function wear(name) {
    localStorage.setItem("omm-theme", name);
    if (window.Quasar) Quasar.Dark.set(name === "auto" ? "auto" : name === "dark");
    const button = document.getElementById("theme");
    if (button) {
      button.textContent = { auto: "◐", light: "☀", dark: "☾" }[name];
      button.setAttribute("aria-label", `colours: ${name}`);
      button.title = `colours: ${name} (T)`;
    }
    requestAnimationFrame(dress);
  }

  function select(tab) {
    for (const one of document.querySelectorAll("[data-tab]")) {
      const mine = one.dataset.tab === tab;
      one.setAttribute("aria-selected", mine);
      one.tabIndex = mine ? 0 : -1;
      document.getElementById(`pane-${one.dataset.tab}`).hidden = !mine;
    }
    emitEvent("omm_tab", { tab });
  }

  const KEYS = { h: "halt", p: "pause", r: "resume", f: "flatten", c: "cancel", o: "place", e: "set", u: "undo", "?": "help" };
  document.addEventListener("keydown", (event) => {
    const at = event.target;
    if (at.closest("[data-rows] tr[tabindex]") && event.key === "Enter" && at.dataset.id) return open(at);
    if (at.dataset && at.dataset.tab && ["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) {
      const all = [...document.querySelectorAll("[data-tab]")], here = all.indexOf(at);
      const next = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: all.length - 1 }[event.key];
      const to = all[(next + all.length) % all.length];
      select(to.dataset.tab);
      to.focus();
      return event.preventDefault();
    }
    if (event.ctrlKey || event.metaKey || event.altKey || at.closest("input, textarea, select, [contenteditable]")) return;
    const key = event.key.toLowerCase();
    if (document.querySelector(".q-dialog") && key !== "h") return; // the brake works from everywhere
    if (key === "t") return next();
    if (key === "g") return location.assign(document.body.dataset.fleet || "/");
    const deed = KEYS[event.key === "?" ? "?" : key];
    const button = deed && document.querySelector(`[data-deed="${deed}"]:not(:disabled)`);
    if (button && button.offsetParent) { event.preventDefault(); button.click(); }
  });
  const next = () => wear(THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]);
  const open = (row) => emitEvent("omm_row", { table: row.closest("[data-rows]").dataset.rows, id: row.dataset.id });

  document.addEventListener("click", (event) => {
    const tab = event.target.closest("[data-tab]");
    if (tab) return select(tab.dataset.tab);
    const span = event.target.closest("[data-window]");
    if (span) {
      windowMs = Number(span.dataset.window) * 60e3;
      for (const one of document.querySelectorAll("[data-window]")) one.setAttribute("aria-pressed", one === span);
      return paint();
    }
    if (event.target.closest("#theme")) return next();
    if (event.target.closest("#logout")) return leave();
    const row = event.target.closest("tr[data-id]");
    if (row && row.dataset.id && !event.target.closest("a, button")) open(row);
  });
  async function leave() {
    ended = true;
    await fetch("/logout", { method: "POST" });
    location.assign("/login");
  }

  setInterval(() => {
    if (!ended && heard && performance.now() - heard > QUIET_MS) document.body.classList.add("lost");
  }, 500);
  document.addEventListener("visibilitychange", () => paint());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTimeout(dress, 50));
  // Quasar and the page itself come with later scripts.
  const begin = setInterval(() => {
    if (!window.Quasar || !document.getElementById("theme")) return;
    clearInterval(begin);
    wear(theme());
  }, 30);

  return { put, plot, history, depth, select, end: () => { ended = true; } };
})();
