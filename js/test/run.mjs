// Bundles test/*.test.ts and runs them with node's own test runner. Names of files as arguments choose among them.
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const out = join(here, "dist");
const chosen = process.argv.slice(2).map((name) => basename(name));
const tests = readdirSync(here)
  .filter((name) => name.endsWith(".test.ts"))
  .filter((name) => chosen.length === 0 || chosen.includes(name));
if (tests.length === 0) {
  console.error(`no test file ${chosen.join(", ")} in ${here}`);
  process.exit(1);
}

rmSync(out, { recursive: true, force: true });
await build({
  entryPoints: tests.map((name) => join(here, name)),
  outdir: out,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  loader: { ".py": "text" },
  sourcemap: "inline",
  logLevel: "warning",
});
const files = tests.map((name) => join(out, name.replace(/\.ts$/, ".mjs")));
const { status } = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...files], {
  stdio: "inherit",
});
process.exit(status ?? 1);
