// Draws what the switch says once a second. Everything shown is text put into the page, never markup.

const by = (id) => document.getElementById(id);
const DEAD_AFTER_MS = 2200;
let heard = performance.now();

const source = new EventSource("/events");
source.onmessage = (event) => {
  const said = JSON.parse(event.data);
  if (said === null) return;
  heard = performance.now();
  draw(said);
};
setInterval(() => {
  const age = performance.now() - heard;
  by("banner").hidden = age < DEAD_AFTER_MS;
  put("age", length(age / 1000));
}, 250);

function put(id, text) {
  const place = by(id);
  if (place.textContent !== text) place.textContent = text;
}

const number = (value) => value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 });
const percent = (ratio, digits = 1) => (ratio === null ? "-" : `${(ratio * 100).toFixed(digits)} %`);

// A length of time in seconds, in the unit that suits it.
function length(seconds) {
  if (seconds === null) return "-";
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} us`;
  if (seconds < 1) return `${(seconds * 1000).toFixed(seconds < 0.01 ? 2 : 1)} ms`;
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${(seconds / 3600).toFixed(1)} h` : `${(seconds / 86400).toFixed(1)} d`;
}

function draw(said) {
  const { signals, state, history } = said;
  by("lamp").className = `lamp ${state.ready ? "good" : "bad"}`;
  put("state", state.ready ? "taking payments" : "not taking payments");
  put("reasons", state.reasons.join(", "));
  put("uptime", length(said.uptime_s));
  put("generation", `generation ${said.generation}${said.reload_ok ? "" : ", last reload refused"}`);
  put("journal", said.journal.level + (said.journal.is_low ? ", no room" : said.journal.level === "none" ? "" : `, ${number(said.journal.syncs)} syncs/s`));
  put("version", said.version);
  put("ratio", percent(signals.approval_ratio));
  put("requests", number(signals.requests));
  put("errors", signals.error_ratio === null ? "-" : percent(signals.error_ratio, 2));
  put("p99", length(signals.p99));
  put("own", length(signals.own_p99));
  put("inflight", number(signals.in_flight));
  put("saturation", percent(signals.saturation, 2));
  by("room").value = signals.saturation;
  chart("chart-ratio", [[history.approved, "good"], [history.declined, "warn"]]);
  chart("chart-requests", [[history.requests, "blue"]]);
  chart("chart-errors", [[history.errors, "bad"]]);
  chart("chart-latency", [[history.p99, "blue"], [history.p50, "good"]]);
  table("acquirers", said.acquirers.map((row) => [row.name, [number(row.connections), row.connections ? "" : "warn"], number(row.requests), percent(row.approval_ratio), length(row.p99), number(row.duplicates), number(row.reversals), [number(row.glitches), row.glitches ? "warn" : ""]]));
  table("issuers", said.issuers.map((row) => [row.name, [`${row.links_up} of ${row.links.length} up`, row.links_up === row.links.length ? "good" : row.links_up ? "warn" : "bad"], number(row.forwarded), number(row.answered), [number(row.timed_out), row.timed_out ? "warn" : ""], number(row.late), number(row.unmatched), [number(row.invalid), row.invalid ? "bad" : ""]]));
  table("saf", said.issuers.map(({ name, saf }) => [name, [number(saf.waiting), saf.waiting ? "warn" : "good"], saf.waiting ? length(saf.oldest_s) : "-", [number(saf.parked), saf.parked ? "bad" : ""], number(saf.done)]));
  const errors = ["91", "96", "68", "30", "904", "907", "908", "909", "911"];
  const most = Math.max(1, ...said.codes.map((code) => code.count));
  bars("codes", said.codes.map((code) => [code.code, code.count / most, `${number(code.count)}  (${number(code.rate)}/s)`, /^0?00$/.test(code.code) ? "ok" : errors.includes(code.code) ? "err" : ""]));
  const why = Math.max(1, ...said.reasons.map((reason) => reason.count));
  bars("reasons-list", said.reasons.map((reason) => [reason.reason.replaceAll("_", " "), reason.count / why, number(reason.count), ""]));
  put("token-state", !said.token.is_there ? "No token: no program runs." : `${said.token.is_up ? "The token answers" : "The token does not answer"}; ${number(said.token.cards)} cards.`);
  table("programs", said.token.programs.map((row) => [row.name, number(row.asked), number(row.right), [number(row.wrong), row.wrong ? "warn" : ""], [number(row.unknown), row.unknown ? "bad" : ""]]));
  table("slowest", said.slowest.map((row) => [length(row.whole_us / 1e6), part(row.before_us), part(row.issuer_us), part(row.after_us), row.de39, row.acquirer, [row.card ?? "-", "mono"], [row.de37 ?? "-", "mono", row.trace && (() => follow("trace", row.trace))], [row.trace ?? "-", "mono"]]));
  parked(said);
  if (said.generation !== compared) compare(said.generation);
  if (said.control) controls(said.issuers);
}

const part = (us) => (us === null ? "-" : length(us / 1e6));

// Rows are used again, so that what is focused or selected stays so.
function table(id, rows) {
  const body = by(id).tBodies[0];
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((cells, at) => {
    const row = body.rows[at] ?? body.insertRow();
    cells.forEach((cell, column) => {
      const place = row.cells[column] ?? row.insertCell();
      const [text, kind, does] = Array.isArray(cell) ? cell : [cell, ""];
      write(place, text, does);
      if (place.className !== kind) place.className = kind;
    });
  });
}

// Text, or a button of that text where it does something.
function write(place, text, does) {
  let into = place.querySelector("button");
  if (Boolean(into) !== Boolean(does)) {
    place.replaceChildren();
    into = does ? place.appendChild(document.createElement("button")) : null;
    if (into) into.type = "button";
    if (into) into.className = "link";
  }
  const shown = into ?? place;
  if (shown.textContent !== text) shown.textContent = text;
  if (into) into.onclick = does;
}

const SVG = "http://www.w3.org/2000/svg";

function svg(kind, attributes, into) {
  const made = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  into.append(made);
  return made;
}

function bars(id, rows) {
  const list = by(id);
  while (list.children.length > rows.length) list.lastElementChild.remove();
  rows.forEach(([name, share, text, kind], at) => {
    let row = list.children[at];
    if (!row) {
      row = document.createElement("li");
      row.append(document.createElement("span"));
      const bar = svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" }, row);
      svg("rect", { height: 10, width: 0 }, bar);
      row.append(document.createElement("span"));
      list.append(row);
    }
    row.className = kind;
    row.children[0].textContent = name;
    row.querySelector("rect").setAttribute("width", (share * 100).toFixed(1));
    row.children[2].textContent = text;
  });
}

// Lines over the last seconds, the newest on the right. A second of which nothing is known is a gap.
function chart(id, lines) {
  const place = by(id);
  const [wide, high, seconds] = [180, 60, 180];
  const top = Math.max(1e-9, ...lines.flatMap(([values]) => values.map((value) => value ?? 0))) * 1.08;
  if (!place.hasAttribute("viewBox")) {
    place.setAttribute("viewBox", `0 0 ${wide} ${high}`);
    place.setAttribute("preserveAspectRatio", "none");
    svg("line", { x1: 0, x2: wide, y1: high, y2: high }, place);
    for (const [, kind] of lines) {
      svg("path", { class: `area c-${kind}` }, place);
      svg("path", { class: `line c-${kind}` }, place);
    }
  }
  lines.forEach(([values], at) => {
    let [path, area, open] = ["", "", false];
    values.forEach((value, second) => {
      const x = (wide * (seconds - values.length + second + 1)) / seconds;
      if (value === null) {
        if (open) area += `V${high}Z`;
        open = false;
        return;
      }
      const point = `${x.toFixed(2)} ${(high - (high * value) / top).toFixed(2)}`;
      path += `${open ? "L" : "M"}${point}`;
      area += open ? `L${point}` : `M${x.toFixed(2)} ${high}L${point}`;
      open = true;
    });
    if (open) area += `V${high}Z`;
    place.querySelectorAll("path.area")[at].setAttribute("d", area);
    place.querySelectorAll("path.line")[at].setAttribute("d", path);
  });
}

function controls(issuers) {
  by("control-part").hidden = false;
  const place = by("link-buttons");
  issuers.forEach((issuer) => issuer.links.forEach((state, link) => {
    const id = `link-${issuer.name}-${link}`;
    let button = by(id);
    if (!button) {
      button = document.createElement("button");
      button.type = "button";
      button.id = id;
      button.onclick = () => ask({ action: "link", issuer: issuer.name, link, on: button.dataset.state !== "up" });
      place.append(button);
    }
    button.dataset.state = state;
    button.textContent = `${issuer.name} link ${link}: ${state}`;
  }));
}

by("do-reload").onclick = () => ask({ action: "reload" });
by("do-drain").onclick = () => ask({ action: "drain" });
by("do-info").onclick = () => ask({ action: "log_level", level: "info" });
by("do-debug").onclick = () => ask({ action: "log_level", level: "debug" });

async function post(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  return answer.json();
}

// Twice: the switch says what it would do, and does it when that is confirmed.
async function ask(action) {
  const asked = await post("/v1/console/ask", action);
  if (asked.confirm === undefined) return put("said", String(asked.said));
  put("sure-text", asked.says);
  const dialog = by("sure");
  dialog.returnValue = "no";
  dialog.onclose = async () => {
    if (dialog.returnValue !== "yes") return put("said", "Nothing was done.");
    const done = await post("/v1/console/do", { confirm: asked.confirm });
    put("said", `${done.done ? "Done." : "Not done."} ${typeof done.said === "string" ? done.said : JSON.stringify(done.said)}`);
  };
  dialog.showModal();
}

// What issuers refuse for good is asked for only where there is some, and not every second.
let [asked, listed] = [0, ""];
async function parked(said) {
  const counts = said.issuers.map((issuer) => issuer.saf.parked).join();
  const some = said.issuers.some((issuer) => issuer.saf.parked > 0);
  by("parked-part").hidden = !some;
  if (!some || (counts === listed && performance.now() - asked < 5000)) return;
  [asked, listed] = [performance.now(), counts];
  const answer = await fetch("/v1/console/parked").then((answer) => answer.ok && answer.json()).catch(() => null);
  if (!answer) return;
  const at = Date.parse(said.at);
  table("parked", answer.parked.slice(0, 50).map((one) => [one.issuer, [String(one.stan).padStart(6, "0"), "mono"], `${one.kind}, ${one.why.replaceAll("_", " ")}`, number(one.de4), [one.card ?? "-", "mono"], [one.de37 ?? "-", "mono", one.de37 && (() => follow("rrn", one.de37))], length(Math.max(0, at - one.since_us / 1000) / 1000), `${one.attempts} x`, said.control ? ["Release", "", () => ask({ action: "release", issuer: one.issuer, stan: one.stan })] : "-"]));
}

// One payment, from the journal.
by("trace-form").onsubmit = (event) => {
  event.preventDefault();
  follow(by("trace-by").value, by("trace-value").value.trim(), by("trace-within").value);
};

async function follow(kind, value, within = "3600") {
  by("trace-by").value = kind;
  by("trace-value").value = value;
  by("trace-within").value = within;
  by("traces").replaceChildren();
  if (/^\d{13,19}$/.test(value)) return put("trace-said", "That looks like a card number. Nothing was sent: a payment is found by its DE 37, DE 11 or trace id.");
  put("trace-said", "Reading the journal ...");
  by("trace-part").scrollIntoView({ block: "nearest" });
  const query = new URLSearchParams({ [kind]: value, within_s: within });
  const answer = await fetch(`/v1/console/trace?${query}`).catch(() => null);
  const told = await answer?.json().catch(() => null);
  if (!answer?.ok) return put("trace-said", told?.said ?? "That was not understood, or the switch does not answer.");
  const more = told.more ? ` ${number(told.more)} older ones are not shown.` : "";
  put("trace-said", told.payments.length === 0 ? "Nothing of it is in the journal of that time." : `${told.payments.length === 1 ? "One payment" : `${told.payments.length} payments`}.${more}`);
  by("traces").replaceChildren(...told.payments.map(story));
}

function made(kind, text, className = "") {
  const element = document.createElement(kind);
  element.textContent = text;
  element.className = className;
  return element;
}

function story(payment) {
  const place = made("article", "", "story");
  const what = payment.class ? `${payment.acquirer}: ${payment.class.replaceAll("_", " ")}${payment.de4 === null ? "" : `, ${number(payment.de4)} minor units of ${String(payment.de49).padStart(3, "0")}`}` : payment.acquirer;
  place.append(made("h3", what));
  const facts = [["DE 7", payment.de7], ["DE 11", payment.de11], ["DE 37", payment.de37], ["DE 41", payment.de41], ["card", payment.card], ["trace", payment.trace]];
  place.append(made("p", facts.filter(([, value]) => value).map(([name, value]) => `${name} ${value}`).join("   "), "mono keys"));
  const [first, last] = [payment.steps[0]?.at_us ?? 0, payment.steps.at(-1)?.at_us ?? 0];
  const list = document.createElement("ol");
  payment.steps.forEach((step) => {
    const item = document.createElement("li");
    const when = step.after_us === null ? new Date(step.at_us / 1000).toISOString().slice(0, 23).replace("T", " ") : `+${length(step.after_us / 1e6)}`;
    item.append(made("span", when, "when"));
    const bar = svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" }, item);
    const [from, to] = [step.at_us - (step.after_us ?? 0), step.at_us].map((at) => (last > first ? (100 * (at - first)) / (last - first) : 0));
    svg("rect", { x: Math.min(from, 99), width: Math.max(to - from, 1), height: 10 }, bar);
    item.append(made("span", step.said));
    list.append(item);
  });
  place.append(list);
  return place;
}

// What the file says beside what is in force: at the beginning, after a reload, and when somebody asks.
let compared = null;
async function compare(generation) {
  compared = generation;
  const said = await fetch("/v1/console/configuration").then((answer) => answer.ok && answer.json()).catch(() => null);
  if (!said) return put("config-said", "The switch does not say.");
  const rows = [...(said.applies ?? []).map((change) => [change, "a reload"]), ...said.needs_restart.map((change) => [change, "a restart"])];
  const faults = (said.faults ?? []).map((fault) => `${fault.file ? `${fault.file}:${fault.line}:${fault.column}: ` : fault.variable ? `${fault.variable}: ` : ""}${fault.found}`);
  by("config-said").className = faults.length ? "bad" : "";
  put("config-said", faults.length ? `Generation ${said.generation} is in force. The file is not sound: ${faults.join("; ")}` : rows.length ? `Generation ${said.generation} is in force. The file says something else:` : `Generation ${said.generation} is in force, and the file says the same.`);
  by("config-table").hidden = rows.length === 0;
  table("config", rows.map(([change, how]) => (typeof change === "string" ? [change, "-", "-", how] : [[change.setting, "mono"], [change.from ?? "-", "mono"], [change.to ?? "-", "mono"], how])));
}
by("do-compare").onclick = () => compare(compared);
