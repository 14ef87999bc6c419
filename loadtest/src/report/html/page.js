// The page: reads the report that stands in it as JSON and draws it.
const report = JSON.parse(byId("report").textContent);
const { load, counts, generator, conditions, seconds } = report;
// Charts are drawn as wide as they will be shown, so that their letters can be read on a phone too.
const WIDTH = Math.min(1080, Math.max(280, byId("rate").clientWidth));
const PLANNED = "var(--grey)", SENT = "var(--teal)", ANSWERED = "var(--blue)";
const GOOD_CODES = ["var(--good)", "#6cbf8f", "#a5d8bb"];
const OTHER_CODES = ["var(--amber)", "var(--red)", "var(--violet)", "#b8860b", "#e07a5f", "#8d6e63", "var(--grey)"];

// The seconds along the lower edge, with what is cut off from the figures shaded.
function overTime(id, height) {
  const plot = frame(id, WIDTH, height);
  const last = seconds.length ? seconds[seconds.length - 1].second : 1;
  plot.x = linear(0, last, plot.left, plot.right);
  plot.marks = ticks(last, WIDTH < 600 ? 4 : 10).filter((value) => value <= last);
  plot.step = plot.x(1) - plot.x(0);
  plot.middle = (row) => plot.x(row.second - 0.5);
  plot.at = (x) => seconds.find((row) => Math.abs(plot.middle(row) - x) <= plot.step / 2);
  plot.cut = (named = true) => {
    const end = load.seconds - (load.cool_down_seconds || 0);
    for (const [from, to, name] of [[0, load.warm_up_seconds || 0, "warm-up"], [end, load.seconds, "cool-down"]]) {
      if (to <= from) continue;
      shape(plot.svg, "rect", { class: "cut", x: plot.x(from), y: plot.top, width: Math.max(0, plot.x(Math.min(to, last)) - plot.x(from)), height: plot.bottom - plot.top });
      if (named) shape(plot.svg, "text", { class: "cut-text", x: plot.x(from) + 4, y: plot.top + 12 }, name);
    }
  };
  return plot;
}
// An object of numbers, the greatest first: by itself it would put 51 before 00.
const mostFirst = (numbers) => Object.entries(numbers).sort((one, other) => other[1] - one[1]);
const secondsText = (value) => value + " s";

function head() {
  byId("name").textContent = load.profile;
  const replayed = load.replay ? `replay of ${count(load.replay.requests)} recorded requests, ${load.replay.speed} times as fast` : null;
  const drive = replayed ? replayed : load.rate !== null ? `open loop at ${count(load.rate)} messages a second (${load.arrivals})` : `closed loop, ${load.window} in flight on each link`;
  const shapeText = load.shape && load.shape !== "constant" ? `, ${load.shape}` : "";
  byId("what").textContent = `${load.description}. ${drive}${shapeText}, ${Number(load.seconds.toFixed(2))} s over ${load.connections} links, ${load.dialect}, ${load.started.replace("T", " ").replace("Z", " UTC")}`;
  const box = (kind, title, text, reasons) => byId("verdict").append(element("div", { class: "verdict " + kind },
    element("strong", { class: kind }, title), element("span", {}, text),
    reasons && reasons.length ? element("ul", {}, ...reasons.map((reason) => element("li", {}, reason))) : null));
  if (generator.generator_bound) {
    box("bad", "GENERATOR-BOUND", "The generator did not keep to its schedule. These figures are not about the host.", generator.reasons);
  } else if (load.window !== null) {
    box("warn", "Closed loop", "The answers set the pace, so a host that stalls looks better here than it is. For what customers would feel, run it with a rate.");
  } else {
    box("good", "The generator kept up", `Everything planned was sent, 99 in 100 within ${time(report.lag.p99_ns)} of its time. The figures are about the host.`);
  }
  if (report.capacity) {
    const rates = report.capacity.rates, median = rates[Math.floor(rates.length / 2)];
    if (rates.length) box("good", `Capacity: ${count(median)} messages a second`, `The highest rate at which every threshold held, ${count(rates[0])} to ${count(rates[rates.length - 1])} in ${rates.length} searches. This page shows a run at the highest.`, report.capacity.limited_by_generator ? ["At least: above it the generator was the limit."] : []);
    else box("bad", "No capacity found", "At no rate did every threshold hold.");
  }
  if (load.replay) {
    const differ = (report.differences || []).reduce((sum, row) => sum + row.count, 0), compared = `${count(load.replay.compared)} requests have a recorded answer.`;
    if (differ) box("bad", `${count(differ)} answers differ from the recording`, compared, report.differences.map((row) => `${count(row.count)} times recorded ${row.recorded}, now ${row.now}`));
    else box("good", "Every answer has its recorded code", compared);
  }
  const failed = report.thresholds.filter((checked) => !checked.passed).length;
  if (failed) box("bad", `${failed} of ${report.thresholds.length} thresholds failed`, "See below which, and what was seen.");
  if (report.interrupted) box("warn", "Stopped before its end", "This report is partial.");
  if (conditions.debug_build) box("warn", "Built without optimization", "The figures mean little.");
}

function tiles() {
  const measured = load.measured_seconds || Math.min(load.elapsed_seconds, load.seconds);
  const lost = counts.missing + counts.late;
  const tile = (label, value, note, kind) => element("div", { class: "tile" }, element("div", { class: "label" }, label),
    element("div", { class: "value " + (kind || "") }, value), element("div", { class: "note" }, note));
  byId("tiles").append(
    tile("Answered", measured ? count(counts.answered / measured) + "/s" : "-", `${count(counts.answered)} in all`),
    tile("Approved", percent(counts.approved, counts.answered), `${count(counts.approved)} of the answers`),
    tile("p50 response", time(report.response.p50_ns), "half took no longer"),
    tile("p99 response", time(report.response.p99_ns), "1 in 100 took longer"),
    tile("p99.9 response", time(report.response.p99_9_ns), `slowest ${time(report.response.max_ns)}`),
    tile("Missing or late", count(lost), lost ? `${count(counts.missing)} never came, ${count(counts.late)} late` : "every message was answered", lost ? "bad" : "good"));
}

function rate() {
  const plot = overTime("rate", 240);
  const top = Math.max(1, ...seconds.map((row) => Math.max(row.planned, row.sent, row.answered)));
  const marks = ticks(top, 4), y = linear(0, marks[marks.length - 1], plot.bottom, plot.top);
  plot.cut();
  axes(plot, plot.x, plot.marks, secondsText, y, marks, count);
  // Behind the end of the load only stragglers come, which is no rate.
  const under = seconds.filter((row) => row.second <= Math.ceil(load.seconds));
  const through = (figure) => under.map((row) => [plot.middle(row), y(row[figure])]);
  // Each narrower than the one below it: where all is well they lie upon each other, and all are seen.
  line(plot, through("planned"), PLANNED, false, 9);
  line(plot, through("sent"), SENT, false, 5);
  line(plot, through("answered"), ANSWERED, false, 2);
  legend("rate", [["planned", PLANNED], ["sent", SENT], ["answered", ANSWERED]]);
  hover(plot, (x) => {
    const row = plot.at(x);
    return row && [plot.middle(row), [`second ${row.second}`, `planned ${count(row.planned)}`, `sent ${count(row.sent)}`, `answered ${count(row.answered)}`, `in flight at its end ${count(row.in_flight)}`]];
  });
}

const LINES = [["max", "max_ns", "var(--red)"], ["p99.9", "p99_9_ns", "var(--amber)"], ["p99", "p99_ns", "var(--violet)"], ["p90", "p90_ns", "var(--teal)"], ["p50", "p50_ns", "var(--blue)"]];
function latency() {
  const plot = overTime("latency", 280);
  const marks = decades(seconds.flatMap((row) => LINES.map(([, key]) => row[key])));
  const y = logarithmic(marks[0], marks[marks.length - 1], plot.bottom, plot.top);
  plot.cut();
  axes(plot, plot.x, plot.marks, secondsText, y, marks, shortTime);
  for (const [, key, colour] of LINES) {
    // Behind the end of the load come only the slowest.
    const shown = (row) => row.answered && (row.second <= Math.ceil(load.seconds) || key === "max_ns");
    line(plot, seconds.map((row) => [plot.middle(row), shown(row) ? y(row[key]) : null]), colour);
  }
  if (load.window !== null) shape(plot.svg, "text", { class: "cut-text", x: plot.right, y: plot.top + 12, "text-anchor": "end" }, "closed loop: a stall delays few messages and is hardly seen");
  legend("latency", LINES.map(([name, , colour]) => [name, colour]));
  hover(plot, (x) => {
    const row = plot.at(x);
    return row && [plot.middle(row), [`second ${row.second}`, ...(row.answered ? LINES.map(([name, key]) => `${name} ${time(row[key])}`) : ["no answer"]), `send lag p99 ${time(row.lag_p99_ns)}`]];
  });
}

// Eight cells make a factor of ten; cell 0 begins at a microsecond.
const cellStart = (cell) => 1000 * 10 ** (cell / 8);
function heat() {
  const plot = overTime("heat", 300);
  const cells = seconds.flatMap((row) => row.heat.map(([cell]) => cell));
  const marks = decades([cellStart(cells.length ? Math.min(...cells) : 16), cellStart(cells.length ? Math.max(...cells) + 1 : 24)]);
  const y = logarithmic(marks[0], marks[marks.length - 1], plot.bottom, plot.top);
  const most = Math.max(1, ...seconds.flatMap((row) => row.heat.map(([, answers]) => answers)));
  plot.cut();
  axes(plot, plot.x, plot.marks, secondsText, y, marks, shortTime);
  for (const row of seconds) for (const [cell, answers] of row.heat) {
    const top = y(cellStart(cell + 1)), strength = 0.12 + 0.88 * Math.log1p(answers) / Math.log1p(most);
    shape(plot.svg, "rect", { x: plot.x(row.second - 1), y: top, width: Math.max(plot.step - (plot.step > 4 ? 1 : 0), 0.5), height: Math.max(y(cellStart(cell)) - top - 0.6, 0.5), fill: `rgba(var(--heat), ${strength.toFixed(3)})` });
  }
  hover(plot, (x, place) => {
    const row = plot.at(x);
    if (!row) return null;
    const hit = row.heat.find(([cell]) => place <= y(cellStart(cell)) && place >= y(cellStart(cell + 1)));
    return [plot.middle(row), [`second ${row.second}`, hit ? `${time(cellStart(hit[0]))} to ${time(cellStart(hit[0] + 1))}: ${count(hit[1])} answers` : `${count(row.answered)} answers`]];
  });
}

function curve() {
  const plot = frame("curve", Math.min(530, WIDTH), 300);
  const kinds = [["response", ANSWERED], ["service", "var(--amber)"], ["send lag", PLANNED]];
  const points = (name) => report.curves[name === "send lag" ? "lag" : name].filter((point) => point.fraction < 1);
  // 1/(1 - fraction): 10 stands for p90, 100 for p99.
  const reach = (point) => 1 / (1 - point.fraction);
  const all = kinds.flatMap(([name]) => points(name));
  const end = Math.max(1000, ...all.map(reach));
  const marks = decades(all.map((point) => point.ns));
  const x = logarithmic(1, end, plot.left, plot.right), y = logarithmic(marks[0], marks[marks.length - 1], plot.bottom, plot.top);
  const across = [1, 2, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7].filter((value, at) => value <= end * 1.01 && (WIDTH >= 600 || at !== 1));
  const name = (value) => value === 1 ? "0" : value === 2 ? "p50" : "p" + Number((100 - 100 / value).toPrecision(9));
  axes(plot, x, across, name, y, marks, shortTime);
  for (const [kind, colour] of kinds) line(plot, points(kind).map((point) => [x(reach(point)), y(point.ns)]), colour, kind === "send lag");
  legend("curve", kinds.map(([kind, colour]) => [kind, colour, kind === "send lag"]));
  hover(plot, (place) => {
    const value = 10 ** (Math.log10(end) * (place - plot.left) / (plot.right - plot.left));
    const lines = kinds.map(([kind]) => {
      const found = points(kind).find((point) => reach(point) >= value);
      return found ? `${kind} ${time(found.ns)}` : null;
    });
    return [place, ["p" + (100 - 100 / value).toPrecision(4), ...lines.filter((text) => text)]];
  });
}

function times() {
  const row = (name, times, meaning) => [element("span", { title: meaning }, name), ...["p50_ns", "p90_ns", "p99_ns", "p99_9_ns", "max_ns"].map((key) => times.count ? time(times[key]) : "-")];
  byId("times").append(table([["", false], ["p50", true], ["p90", true], ["p99", true], ["p99.9", true], ["max", true]], [
    row("response", report.response, "answered - planned"), row("service", report.service, "answered - sent"), row("send lag", report.lag, "sent - planned")]),
    element("p", { class: "hint" }, "Response: answered - planned. Service: answered - sent. Send lag: sent - planned."),
    ...(counts.missing ? [element("p", { class: "warn" }, `Without the ${count(counts.missing)} that were never answered.`)] : []));
}

function colours() {
  const good = report.outcomes.filter((row) => row.approval), other = report.outcomes.filter((row) => !row.approval);
  const give = (rows, palette) => rows.map((row, at) => [row.code, palette[Math.min(at, palette.length - 1)]]);
  return new Map([...give(good, GOOD_CODES), ...give(other, OTHER_CODES)]);
}
function codes() {
  const colour = colours(), plot = overTime("codes-over-time", 160);
  const y = linear(0, 1, plot.bottom, plot.top);
  for (const row of seconds) {
    const whole = Object.values(row.codes).reduce((sum, answers) => sum + answers, 0);
    let below = 0;
    for (const outcome of report.outcomes) {
      const answers = row.codes[outcome.code] || 0;
      if (!answers) continue;
      const top = y((below + answers) / whole);
      shape(plot.svg, "rect", { x: plot.x(row.second - 1), y: top, width: Math.max(plot.step - (plot.step > 4 ? 1 : 0), 0.5), height: y(below / whole) - top, fill: colour.get(outcome.code) });
      below += answers;
    }
  }
  plot.cut(false);
  axes(plot, plot.x, plot.marks, secondsText, y, [0, 0.5, 1], (value) => value * 100 + " %");
  legend("codes-over-time", report.outcomes.map((row) => [`${row.code} ${row.meaning}`, colour.get(row.code)]));
  hover(plot, (x) => {
    const row = plot.at(x);
    return row && [plot.middle(row), [`second ${row.second}`, ...mostFirst(row.codes).map(([code, answers]) => `${code}: ${count(answers)}`)]];
  });
  byId("codes").append(table([["code", false], ["meaning", false], ["answers", true], ["share", true], ["", false]], report.outcomes.map((row) => [
    element("code", {}, row.code), row.meaning, count(row.count), percent(row.count, counts.answered),
    element("span", { class: "bar", style: `width:${Math.max(row.share * 260, 2)}px;background:${colour.get(row.code)}` })])));
}

function tables() {
  const held = (checked) => element("strong", { class: checked.passed ? "good" : "bad" }, checked.passed ? "held" : "FAILED");
  if (report.thresholds.length === 0) byId("thresholds").append(element("p", { class: "hint" }, "None was given. With --threshold 'p99(response)<50ms' the run makes a promise and has an exit code."));
  else byId("thresholds").append(table([["promise", false], ["", false], ["seen", true]], report.thresholds.map((checked) => [element("code", {}, checked.text), held(checked), checked.seen])));
  const kinds = [["planned", "asked for by the schedule"], ["sent", "handed to the network"], ["not_sent", "planned and not sent"], ["answered", "in time"], ["late", "after the terminal's patience"], ["missing", "never came"], ["duplicate", "an answer too many"], ["unmatched", "fits no message"], ["mangled", "no sound answer"], ["contradicting", "says something else than the first"], ["unexpected", "a code the case does not expect"], ["cut_off", "in warm-up or cool-down, not in the figures"], ["reversals", "sent for what was not answered"], ["reversal_repeats", "sent again"], ["reversals_open", "never acknowledged"], ["reversals_refused", "answered with another code"], ["links_lost", "connections"], ["links_dropped", "connections, on purpose"]];
  byId("counts").append(table([["", false], ["", true], ["", false]], kinds.filter(([key]) => counts[key] !== undefined).map(([key, meaning]) => {
    const wrong = !["planned", "sent", "answered", "cut_off", "links_dropped"].includes(key) && counts[key] > 0;
    return [key.replace(/_/g, " "), element("span", wrong ? { class: "warn" } : {}, count(counts[key])), meaning];
  })));
  byId("cases").append(table([["case", false], ["sent", true], ["answered", true], ["p99", true], ["answers by code", false]], report.cases.map((row) => [row.name, count(row.sent), count(row.answered), row.response ? time(row.response.p99_ns) : "-",
    element("span", { class: row.unexpected ? "bad" : "" }, mostFirst(row.codes).map(([code, answers]) => `${code}\u00a0${count(answers)}`).join(", "))])));
  byId("conditions").append(table([["", false], ["", false]], [["machine", `${conditions.cores} cores, ${conditions.processor}`], ["system", conditions.kernel], ...(report.agents || []).map((agent) => ["agent", `${agent.cores} cores, ${agent.processor}, ${agent.kernel}, loadtest ${agent.version}`]), ["loadtest", conditions.version + (conditions.debug_build ? ", built without optimization" : "")],
    ["started", load.started], ["load", `${load.workers} worker threads, ${load.connections} links, seed ${load.seed}, an answer is late after ${load.patience_seconds} s`], ["command", element("code", { class: "command" }, conditions.command_line)]]));
}

for (const part of [head, tiles, rate, latency, heat, curve, times, codes, tables]) part();
