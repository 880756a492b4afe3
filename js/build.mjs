// Bundles what weightwidget ships and the page with a fake model (dev/dist); with --dev, serves that page.
import { dirname, resolve } from "node:path";
import { build, context } from "esbuild";
import { buildLabExtension } from "./labextension.mjs";
import { packModule } from "./packed.mjs";

const PORT = 8123;

const widget = {
  entryPoints: { widget: "src/widget.ts" },
  outdir: "../weightwidget/static",
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "eof",
  logLevel: "warning",
};
const styles = { ...widget, entryPoints: { widget: "src/widget.css", page: "page/page.css" } };
// A page of its own, for files and frames: plain scripts, which need no address.
const page = {
  ...widget,
  entryPoints: { page: "page/main.ts", "page-loader": "page/loader.js" },
  format: "iife",
};

// import text from "inline:./worker.ts" gives a script, bundled, as text: a worker that needs no file of its own.
const inlineScripts = {
  name: "inline",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^inline:/ }, ({ path, importer }) => ({
      path: resolve(dirname(importer), path.slice("inline:".length)),
      namespace: "inline",
    }));
    onLoad({ filter: /.*/, namespace: "inline" }, async ({ path }) => {
      const { outputFiles, metafile } = await build({
        entryPoints: [path],
        bundle: true,
        format: "iife",
        target: "es2022",
        write: false,
        metafile: true,
      });
      return {
        contents: outputFiles[0].text,
        loader: "text",
        watchFiles: Object.keys(metafile.inputs).map((input) => resolve(input)),
      };
    });
  },
};
const dev = {
  ...widget,
  entryPoints: { main: "dev/main.ts", host: "dev/host.ts" },
  outdir: "dev/dist",
  // A plain script: pages opened as files may not load modules.
  format: "iife",
  minify: false,
  sourcemap: true,
  plugins: [inlineScripts],
};

if (process.argv.includes("--dev")) {
  const serving = await context({ ...dev, logLevel: "info" });
  await serving.serve({ servedir: "dev", host: "127.0.0.1", port: PORT });
  console.log(`the widget on a fake model: http://127.0.0.1:${PORT}/`);
} else {
  const packed = build(widget).then(() => packModule("../weightwidget/static/widget.js"));
  await Promise.all([packed, build(styles), build(page), build(dev), buildLabExtension()]);
}
