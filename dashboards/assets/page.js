/* Writes the feed's frames into the page, and sends the run bar's orders. Values go into elements by id and never
   through Dash, which would fall behind at this rate. Nothing is shown that a frame did not say. */
(function () {
  "use strict";
  const SIDES = ["left", "right"];
  const STALE_AFTER_MS = 1500, RECONNECT_MS = 1000, TREND_EVERY_MS = 500, SPEAK_EVERY_MS = 5000;
  const TREND_S = 600, GRANTED_MARK_MW = 47, REFUSED_MARK_MW = 42;
  const now = {values: {}, trend: {left: [], right: []}, at_s: 0, run: 0};
  let socket = null, heardAt = 0, changed = new Set(), spokeAt = 0, lastSpoken = "";

  const byId = (id) => document.getElementById(id);
  const write = (id, text) => {
    const element = byId(id);
    if (element && element.textContent !== text) element.textContent = text;
  };
  const cell = (text, name) => {
    const td = document.createElement("td");
    td.textContent = text;
    if (name) td.className = name;
    return td;
  };
  const part = (name, text) => {
    const span = document.createElement("span");
    span.className = name;
    span.textContent = text;
    return span;
  };
  const dayTime = (at_s) => {
    const s = Math.floor(now.values["run.start_of_day_s"] + at_s) % 86400;
    return [s / 3600, (s / 60) % 60, s % 60].map((part) => String(Math.floor(part)).padStart(2, "0")).join(":");
  };

  /* ---- frames ---- */

  function take(frame) {
    if (frame.type === "key") {
      changed = new Set([...Object.keys(now.values), ...Object.keys(frame.values)]);
      now.values = frame.values;
      now.trend = {left: frame.trend.left || [], right: frame.trend.right || []};
      changed.add("trend");
    } else {
      for (const [name, value] of Object.entries(frame.values)) {
        now.values[name] = value;
        changed.add(name);
      }
      for (const side of SIDES) {
        const points = frame.trend[side];
        if (!points) continue;
        const kept = now.trend[side].concat(points);
        now.trend[side] = kept.filter((point) => point[0] >= frame.at_s - TREND_S);
        changed.add("trend");
      }
    }
    now.at_s = frame.at_s;
    now.run = frame.run;
    heardAt = performance.now();
  }

  function draw() {
    if (!heardAt) return;
    write("day-time", dayTime(now.at_s));
    write("run-time", `t = ${now.at_s.toFixed(1)} s`);
    if (!changed.size) return;
    const names = changed;
    changed = new Set(names.has("trend") ? ["trend"] : []);
    drawRunBar();
    for (const name of names) {
      const dot = name.indexOf("."), side = name.slice(0, dot), what = name.slice(dot + 1);
      if (SIDES.includes(side)) drawSide(side, what, now.values[name]);
    }
    if (names.has("right.verdicts")) drawVerdicts(now.values["right.verdicts"]);
    drawMirror();
  }

  function drawSide(side, what, value) {
    if (value === undefined) value = what.startsWith("state.") ? "unknown" : "–"; // not told yet in this run
    if (what === "truth.served_mw") write(`${side}-served`, value);
    else if (what === "truth.demand_mw") write(`${side}-demand`, value);
    else if (what.startsWith("measured.")) write(`${side}-${what.slice(9)}`, value);
    else if (what.startsWith("state.")) drawState(byId(`${side}-${what.slice(6)}`), value);
    else if (what === "commands") drawCounts(side, value);
    else if (what === "envelope") drawEnvelope(side, value);
    else if (what === "denied") write(`${side}-denied`, `${side === "left" ? "Conventional" : "Holdfast"}: ${value} refused`);
    else if (what === "last") drawLast(side, value);
    else if (what === "impact") {
      const customers = Math.round(value.customers_off_max).toLocaleString("en");
      write(`${side}-customers`, `${customers} customers off at worst`);
      write(`${side}-energy`, `${value.energy_not_supplied_mwh.toFixed(2)} MWh not supplied`);
    } else if (what === "attacks") changed.add("trend");
  }

  function drawState(element, state) {
    if (!element) return;
    element.classList.remove("closed", "open", "moving", "bad", "live", "dead", "unknown");
    element.classList.add(state);
  }

  function drawCounts(side, counts) {
    for (const by of ["attacker", "legitimate"])
      for (const count of ["sent", "granted", "denied"]) write(`${side}-${by}-${count}`, String(counts[by][count]));
  }

  function drawLast(side, last) {
    if (!last) return write(`${side}-last`, "no command yet");
    const answer = last.granted ? "granted" : "refused";
    write(`${side}-last`, `${dayTime(last.at_s)} ${last.by}: ${last.tag} ${answer}`);
  }

  function drawEnvelope(side, lines) {
    const rows = lines.map((line) => {
      const row = document.createElement("tr"), broken = line.first_violation_s !== null;
      const live = line.unit === "live", shown = (value) => live ? (value >= 1 ? "live" : "dead") : value.toFixed(2);
      const unit = live ? "" : ` ${line.unit}`;
      row.append(cell(line.words), cell(shown(line.worst), "live"), cell(shown(line.limit) + unit));
      row.append(cell(broken ? `since ${dayTime(line.first_violation_s)}` : "kept", broken ? "p1" : "kept"));
      return row;
    });
    byId(`${side}-envelope`).replaceChildren(...rows);
    const broken = lines.filter((line) => line.first_violation_s !== null).length;
    byId(`${side}-alarm`).className = broken ? "alarm p1" : "alarm quiet";
    write(`${side}-alarm`, broken ? `Envelope violated: ${broken} of ${lines.length}` : "Envelope kept");
  }

  function drawVerdicts(verdicts) {
    byId("verdict-rows").replaceChildren(...verdicts.map((one) => {
      const row = document.createElement("tr");
      row.className = one.granted ? "grant" : "deny";
      row.append(cell(dayTime(one.at_s)), cell(one.granted ? "grant" : "DENY", "glyph"));
      const path = cell(`${one.subject} → ${one.operation} → `);
      path.append(part("object", one.object || "–"));
      row.append(path, reason(one.reason));
      row.append(cell(one.rule, "rule"), cell(one.count > 1 ? `×${one.count}` : ""));
      return row;
    }));
    const denial = verdicts.find((one) => !one.granted);
    if (!denial || performance.now() - spokeAt < SPEAK_EVERY_MS) return;
    const text = `Denied: ${denial.object}. ${denial.reason}`;
    if (text !== lastSpoken) write("spoken", lastSpoken = text);
    spokeAt = performance.now();
  }

  /* The rule's own sentence, and behind it in brackets what was weighed; the whole of it also as a tooltip. */
  function reason(text) {
    const split = text.indexOf(" (`"), td = cell("", "reason");
    td.title = text;
    td.append(part("sentence", split < 0 ? text : text.slice(0, split)));
    if (split >= 0) td.append(part("detail", text.slice(split)));
    return td;
  }

  function drawMirror() {
    const until = now.values["run.identical_until_s"];
    const differ = now.values["run.differ"];
    if (until === null) write("mirror", "");
    else write("mirror", differ ? `both sides identical until ${dayTime(until)}` : "both sides identical, bit for bit");
  }

  /* ---- run bar ---- */

  function drawRunBar() {
    const values = now.values, frozen = values["run.stage"] !== "running";
    write("title", `${values["run.title"]} (seed ${values["run.seed"]}, ${values["run.wire"]})`);
    write("freeze-words", frozen ? "Run" : "Freeze");
    for (const button of document.querySelectorAll("[data-speed]"))
      button.setAttribute("aria-pressed", String(Number(button.dataset.speed) === values["run.speed"]));
    const attack = byId("attack");
    attack.disabled = values["run.attack"] !== "armed";
    attack.toggleAttribute("data-disabled", attack.disabled);
    write("attack-words", {armed: "Start attack", started: "Attack started", none: "No attack"}[values["run.attack"]]);
  }

  function drawBadge() {
    const badge = byId("badge");
    if (!badge) return;
    const age_ms = performance.now() - heardAt, stale = heardAt > 0 && age_ms > STALE_AFTER_MS;
    const values = now.values, stage = values["run.stage"];
    document.body.classList.toggle("stale", stale);
    badge.className = `badge ${stale || !heardAt ? "stale" : stage}`;
    if (!heardAt) write("badge", "CONNECTING");
    else if (stale) write("badge", `STALE ${Math.floor(age_ms / 1000)} s`);
    else if (stage === "frozen") write("badge", "FROZEN");
    else if (stage === "ended") write("badge", "FROZEN: scenario over");
    else {
      const slow = values["run.pace"] !== null && values["run.pace"] < 0.85 * values["run.speed"];
      write("badge", slow ? `LIVE ×${values["run.pace"]} (machine's limit)` : `LIVE ×${values["run.speed"]}`);
    }
  }

  function order(verb, speed) {
    if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({verb, speed}));
  }

  function press(button) {
    const verb = button.dataset.verb;
    if (verb === "keys") toggleKeys();
    else if (verb === "freeze") order(now.values["run.stage"] === "running" ? "freeze" : "run");
    else if (!button.disabled) order(verb, Number(button.dataset.speed) || undefined);
  }

  function toggleKeys() {
    const dialog = byId("keys-dialog");
    if (dialog.open) dialog.close();
    else dialog.showModal();
  }

  function changeSpeed(by) {
    const speeds = [...document.querySelectorAll("[data-speed]")].map((button) => Number(button.dataset.speed));
    const current = now.values["run.speed"];
    const next = by > 0 ? speeds.find((speed) => speed > current) : speeds.findLast((speed) => speed < current);
    if (next) order("speed", next);
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (byId("keys-dialog").open && event.key !== "?") return;
    const onButton = event.target.closest && event.target.closest("button");
    const ids = {" ": "freeze", s: "step", r: "restart", a: "attack", "?": "keys"};
    if (event.key === " " && onButton) return; // a focused button takes the space bar itself
    if (event.key === "[") changeSpeed(-1);
    else if (event.key === "]") changeSpeed(1);
    else if (ids[event.key]) press(byId(ids[event.key]));
    else return;
    event.preventDefault();
  }

  /* ---- trends, at a slower beat: redrawing them is what costs ---- */

  function drawTrends() {
    if (!changed.has("trend") || !window.Plotly) return;
    const graphs = SIDES.map((side) => document.querySelector(`#${side}-trend .js-plotly-plot`));
    if (graphs.some((graph) => !graph)) return;
    changed.delete("trend");
    const begin = Math.max(0, (now.at_s - TREND_S) / 60);
    SIDES.forEach((side, number) => {
      const points = now.trend[side], attacks = now.values[`${side}.attacks`] || [];
      const recent = attacks.filter((attack) => attack[0] / 60 >= begin);
      const marks = (granted) => recent.filter((attack) => attack[1] === granted).map((attack) => attack[0] / 60);
      const minutes = points.map((point) => point[0] / 60), granted = marks(true), refused = marks(false);
      window.Plotly.update(graphs[number], {
        x: [minutes, minutes, granted, refused],
        y: [points.map((p) => p[2]), points.map((p) => p[1]), granted.map(() => GRANTED_MARK_MW), refused.map(() => REFUSED_MARK_MW)],
      }, {"xaxis.range": [begin, begin + TREND_S / 60]}, [0, 1, 2, 3]);
    });
  }

  /* ---- start ---- */

  function connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    socket = new WebSocket(`${scheme}://${location.host}/frames`);
    socket.onmessage = (message) => take(JSON.parse(message.data));
    socket.onclose = () => setTimeout(connect, RECONNECT_MS);
  }

  async function fetchDiagram(side) {
    const answer = await fetch(`diagram/${side}.svg`);
    byId(`${side}-diagram`).innerHTML = await answer.text();
  }

  async function start() {
    if (!byId("verdict-rows")) return setTimeout(start, 30); // Dash has not drawn the page yet
    await Promise.all(SIDES.map(fetchDiagram));
    document.addEventListener("click", (event) => {
      const button = event.target.closest("[data-verb]");
      if (button) press(button);
    });
    document.addEventListener("keydown", onKey);
    connect();
    const everyFrame = () => { draw(); requestAnimationFrame(everyFrame); };
    everyFrame();
    setInterval(drawTrends, TREND_EVERY_MS);
    setInterval(drawBadge, 250);
  }

  start();
})();
