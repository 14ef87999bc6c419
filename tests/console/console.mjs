// Looks at the console in Debian's Chromium: `node console.mjs URL TOKEN SHOTS`. Writes "kill" when the switch may be
// killed, and ends with 0 when everything held.

import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [url, token, shots] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage({ viewport: { width: 1920, height: 1080 }, colorScheme: "dark" });
const complaints = [];
let killed = false;
page.on("console", (message) => message.type() === "error" && !killed && complaints.push(message.text()));
page.on("pageerror", (error) => complaints.push(String(error)));
page.on("request", (request) => request.url().startsWith(url) || complaints.push(`asks elsewhere: ${request.url()}`));

// A wrong token stays outside, the right one gets in.
await page.goto(url);
assert.match(page.url(), /\/login$/);
await page.fill("#token", "not-the-access-token");
await page.keyboard.press("Enter");
await page.waitForSelector("#wrong:target");
await page.fill("#token", token);
await page.keyboard.press("Enter");
await page.waitForSelector("#state");
await page.waitForFunction(() => document.getElementById("state").textContent === "taking payments", null, { timeout: 20000 });

// Figures move, and charts have something painted.
const figures = () => page.evaluate(() => [document.getElementById("requests").textContent, document.querySelector("#codes li span:last-child")?.textContent]);
await page.waitForFunction(() => Number(document.getElementById("requests").textContent.replaceAll(",", "")) > 50, null, { timeout: 20000 });
const before = await figures();
await page.waitForFunction((before) => document.querySelector("#codes li span:last-child")?.textContent !== before, before[1], { timeout: 20000 });
await page.waitForFunction(() => document.querySelectorAll("#slowest tbody tr").length > 3, null, { timeout: 20000 });
for (const id of ["chart-requests", "chart-ratio", "chart-latency"]) {
  const box = await page.evaluate((id) => { const b = document.querySelector(`#${id} path.line`).getBBox(); return [b.width, b.height]; }, id);
  assert.ok(box[0] > 0 && box[1] > 0, `${id} has painted nothing: ${box}`);
}
const told = await page.evaluate(() => document.body.innerText);
assert.doesNotMatch(told, /9999\d{9,15}/, "a card number in clear");
assert.match(told, /99996\d\*{6}\d{4}/, "a masked card among the slowest");

// Nothing of the page is wider than its window, from the narrowest to the widest.
await page.waitForTimeout(4000);
for (const [width, height] of [[1920, 1080], [360, 780]]) {
  await page.setViewportSize({ width, height });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= width, `${wide} pixels in a window of ${width}`);
  await page.screenshot({ path: `${shots}/console-${width}.png` });
  await page.screenshot({ path: `${shots}/console-${width}-whole.png`, fullPage: true });
}

// By keyboard alone: the first stop leads to the figures, and what is focused can be seen.
await page.setViewportSize({ width: 1280, height: 900 });
await page.evaluate(() => document.activeElement?.blur());
await page.keyboard.press("Tab");
assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
const stops = new Set();
for (let stop = 0; stop < 80; stop += 1) {
  await page.keyboard.press("Tab");
  const seen = await page.evaluate(() => { const at = document.activeElement; return [at.tagName, at.textContent.slice(0, 20), getComputedStyle(at).outlineStyle]; });
  if (seen[0] === "BODY") break;
  assert.notEqual(seen[2], "none", `${seen[0]} ${seen[1]} shows no focus`);
  stops.add(seen[1]);
}
assert.ok([...stops].some((text) => text.startsWith("Drain and stop")), `not reached: ${[...stops].join(" | ")}`);

// Contrast of every text against what is behind it, light and dark: at least 4.5 to 1.
for (const colorScheme of ["light", "dark"]) {
  await page.emulateMedia({ colorScheme });
  const poor = await page.evaluate(() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgb = (color) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); return canvas.getImageData(0, 0, 1, 1).data; };
    const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)).reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
    const behind = (at) => { for (let node = at; node; node = node.parentElement) { const color = getComputedStyle(node).backgroundColor; if (rgb(color)[3] > 0) return color; } return "white"; };
    const poor = [];
    for (const at of document.querySelectorAll("body *")) {
      const own = [...at.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
      if (!own || !at.checkVisibility() || at.closest("svg")) continue;
      const [a, b] = [light(rgb(getComputedStyle(at).color)), light(rgb(behind(at)))].sort((x, y) => y - x);
      const ratio = (a + 0.05) / (b + 0.05);
      if (ratio < 4.5) poor.push(`${at.tagName} ${at.textContent.slice(0, 24)}: ${ratio.toFixed(2)}`);
    }
    return poor;
  });
  assert.deepEqual(poor, [], `too little contrast, ${colorScheme}`);
}

// One payment: from the slowest to its steps, in the words of the command, its card masked.
await page.click("#slowest tbody tr:first-child button.link");
await page.waitForFunction(() => document.querySelectorAll("#traces .story li").length >= 3, null, { timeout: 20000 });
const followed = await page.innerText("#trace-part");
assert.match(followed, /received[\s\S]*sent to maple[\s\S]*the issuer answered/);
assert.match(followed, /card 99996\d\*{6}\d{4}/);
await page.waitForFunction(() => document.querySelectorAll("#slowest tbody tr").length > 3);
const rrn = await page.textContent("#slowest tbody tr:first-child td:nth-child(8)");
await page.selectOption("#trace-by", "rrn");
await page.fill("#trace-value", rrn);
await page.keyboard.press("Enter");
await page.waitForFunction((rrn) => document.getElementById("traces").innerText.includes(`DE 37 ${rrn}`), rrn, { timeout: 20000 });
await page.fill("#trace-value", "9999600000000019");
await page.keyboard.press("Enter");
assert.match(await page.textContent("#trace-said"), /looks like a card number/);
await page.click("#slowest tbody tr:first-child button.link");
await page.waitForSelector("#traces .story li");
for (const [width, height] of [[1920, 1080], [360, 780]]) {
  await page.setViewportSize({ width, height });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= width, `with a payment: ${wide} pixels in a window of ${width}`);
  await page.locator("#trace-part").screenshot({ path: `${shots}/trace-${width}.png` });
}
await page.setViewportSize({ width: 1280, height: 900 });

// The file says the same as what is in force.
assert.match(await page.textContent("#config-said"), /Generation 1 is in force, and the file says the same\./);

// Asked twice: No does nothing, Yes reloads.
await page.click("#do-reload");
await page.waitForSelector("#sure[open]");
await page.click("#sure button[value=no]");
await page.waitForFunction(() => document.getElementById("said").textContent === "Nothing was done.");
assert.match(await page.textContent("#generation"), /generation 1$/);
await page.click("#do-reload");
await page.click("#sure button[value=yes]");
await page.waitForFunction(() => /generation 2$/.test(document.getElementById("generation").textContent), null, { timeout: 10000 });

assert.deepEqual(complaints, []);
killed = true;
const end = page.waitForFunction(() => !document.getElementById("banner").hidden, null, { timeout: 20000, polling: 50 });
console.log("kill");
const since = Date.now();
await end;
const within = Date.now() - since;
console.log(`banner after ${within} ms`);
await browser.close();
process.exit(within <= 3000 ? 0 : 1);
