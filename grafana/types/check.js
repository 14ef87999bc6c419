// Writes each dashboard as a constant of Grafana's own type and lets the compiler look at it. A dashboard that is
// spoiled on purpose must be found first, so that silence means something.
const { execFileSync } = require("node:child_process");
const { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");

const dashboards = join(__dirname, "..", "dashboards");
const names = readdirSync(dashboards).filter((name) => name.endsWith(".json"));
const good = names.map((name) => readFileSync(join(dashboards, name), "utf8"));
const spoiled = ['"refresh": 2', '"graphTooltip": 1', '"collapsed": false', '"schemaVersion": 39'].map((text) => {
  const value = text.startsWith('"refresh') ? '"refresh": "sometimes"' : text.replace(/: .*/, ': { "no": 1 }');
  return good[0].replace(text, value);
});

// Beside node_modules, where the compiler looks for the types.
const folder = mkdtempSync(join(__dirname, "checked-"));
try {
  // A member of an enumeration is more than its text to the compiler.
  const typed = (text) => text.replaceAll('"mode": "absolute"', '"mode": ThresholdsMode.Absolute');
  const head = 'import { type Dashboard, ThresholdsMode } from "@grafana/schema";';
  const source = (text) => `${head}\nexport const mode = ThresholdsMode;\nexport const dashboard: Dashboard = ${typed(text)};\n`;
  const write = (kind, texts) =>
    texts.map((text, at) => {
      const path = join(folder, `${kind}${at}.ts`);
      writeFileSync(path, source(text));
      return path;
    });
  const paths = [...write("good", good), ...write("spoiled", spoiled)];
  const tsc = join(__dirname, "node_modules", "typescript", "lib", "tsc.js");
  const flags = ["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--moduleResolution", "nodenext", "--target", "es2022"];
  let said = "";
  try {
    execFileSync(process.execPath, [tsc, ...flags, ...paths], { cwd: folder, encoding: "utf8" });
  } catch (error) {
    said = error.stdout;
  }
  const faults = said.split("\n").filter((line) => line.includes("good"));
  const missed = spoiled.filter((_, at) => !said.includes(`spoiled${at}.ts`));
  if (faults.length || missed.length || said.includes("Cannot find module")) {
    console.error(said || "a spoiled dashboard passed");
    process.exit(1);
  }
  console.log(`${names.length} dashboards are what @grafana/schema says, ${spoiled.length} spoiled ones are not`);
} finally {
  rmSync(folder, { recursive: true });
}
