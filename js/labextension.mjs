// Bundles the JupyterLab extension into weightwidget/labextension, as JupyterLab takes prebuilt ones.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const NAME = "weightwidget";
const PACKAGE = "../weightwidget";
const OUT = `${PACKAGE}/labextension`;

export async function buildLabExtension() {
  const { outputFiles } = await build({
    entryPoints: ["lab/entry.ts"],
    bundle: true,
    format: "iife",
    target: "es2022",
    minify: true,
    charset: "ascii",
    // What runs in the kernel, and the style sheet, are part of the script.
    loader: { ".py": "text", ".css": "text" },
    legalComments: "eof",
    logLevel: "warning",
    write: false,
  });
  const script = outputFiles[0].contents;
  // Browsers keep the script as long as its name stays.
  const entry = `static/remoteEntry.${createHash("sha256").update(script).digest("hex").slice(0, 16)}.js`;
  const version = /^__version__ = "(.+)"$/m.exec(readFileSync(`${PACKAGE}/__init__.py`, "utf8"))[1];

  rmSync(OUT, { recursive: true, force: true });
  mkdirSync(`${OUT}/static`, { recursive: true });
  writeFileSync(`${OUT}/${entry}`, script);
  writeJson(`${OUT}/package.json`, {
    name: NAME,
    version,
    description: "A panel that lists the models of the notebook's kernel and shows their weights.",
    license: "BSD-3-Clause",
    jupyterlab: {
      extension: true,
      outputDir: "labextension",
      _build: { load: entry, extension: "./extension" },
    },
  });
  writeJson(`${OUT}/install.json`, {
    packageManager: "python",
    packageName: NAME,
    uninstallInstructions: `Use your Python package manager (pip, conda, etc.) to uninstall the package ${NAME}`,
  });
}

function writeJson(path, content) {
  writeFileSync(path, `${JSON.stringify(content, null, 2)}\n`);
}
