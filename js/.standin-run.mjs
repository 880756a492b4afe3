// Bundles the widget into weightwidget/static and the page with a fake model into dev/dist; with --dev, serves that page.
import { dirname, resolve } from "node:path";
import { build, context } from "esbuild";
import { existsSync } from "node:fs";

const standIn = { name: "standin", setup({onResolve,onLoad}) {
  onResolve({filter: /(panels|styles)\//}, ({path, importer}) => {
    const full = resolve(dirname(importer), path);
    if ((existsSync(full) && path.endsWith(".css")) || existsSync(full + ".ts") || existsSync(full+"/index.ts")) return undefined;
    return {path: full, namespace: "standin"};
  });
  onLoad({filter: /.*/, namespace: "standin"}, ({path}) => {
    if (path.endsWith(".css")) return {contents: "", loader: "css"};
    const name = path.split("/").pop();
    const fn = {filters: "filterPanel"}[name] ?? name + "Panel";
    return {contents: `export function ${fn}(store) { const e = document.createElement("div"); e.textContent = "${name}"; store.effect(() => { const o = store.overview.value; e.textContent = "${name} " + store.traits.selected.value + " " + o.rows; if (store.traits.selected.value && "${name}" === "histogram" && o.rows) store.model.request("count", {path: store.traits.selected.value, range: [0, 1]}).then(r => { e.dataset.count = r.count; }, (x) => { e.dataset.error = x.message; }); }); if ("${name}" === "tree") e.addEventListener("click", () => store.select(store.overview.value.names[1])); return e; }`, loader: "js", resolveDir: "/work/main/js/src"};
  });
}};


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
 plugins: [standIn],
};
const styles = { ...widget, entryPoints: { widget: "src/widget.css" } };

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
  plugins: [inlineScripts, standIn],
};

if (process.argv.includes("--dev")) {
  const serving = await context({ ...dev, logLevel: "info" });
  await serving.serve({ servedir: "dev", host: "127.0.0.1", port: PORT });
  console.log(`the widget on a fake model: http://127.0.0.1:${PORT}/`);
} else {
  await Promise.all([build(widget), build(styles), build(dev)]);
}
