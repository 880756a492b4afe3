import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { resolve, dirname } from "node:path";
let text = readFileSync("build.mjs", "utf8");
const plugin = `
const standIn = { name: "standin", setup({onResolve,onLoad}) {
  onResolve({filter: /(panels|styles)\\//}, ({path, importer}) => {
    const full = resolve(dirname(importer), path);
    if ((existsSync(full) && path.endsWith(".css")) || existsSync(full + ".ts") || existsSync(full+"/index.ts")) return undefined;
    return {path: full, namespace: "standin"};
  });
  onLoad({filter: /.*/, namespace: "standin"}, ({path}) => {
    if (path.endsWith(".css")) return {contents: "", loader: "css"};
    const name = path.split("/").pop();
    const fn = {filters: "filterPanel"}[name] ?? name + "Panel";
    return {contents: \`export function \${fn}(store) { const e = document.createElement("div"); e.textContent = "\${name}"; store.effect(() => { const o = store.overview.value; e.textContent = "\${name} " + store.traits.selected.value + " " + o.rows; if (store.traits.selected.value && "\${name}" === "histogram" && o.rows) store.model.request("count", {path: store.traits.selected.value, range: [0, 1]}).then(r => { e.dataset.count = r.count; }, (x) => { e.dataset.error = x.message; }); }); if ("\${name}" === "tree") e.addEventListener("click", () => store.select(store.overview.value.names[1])); return e; }\`, loader: "js", resolveDir: "/work/main/js/src"};
  });
}};
`;
text = text.replace('import { build, context } from "esbuild";', 'import { build, context } from "esbuild";\nimport { existsSync } from "node:fs";\n' + plugin)
  .replace('logLevel: "warning",', 'logLevel: "warning",\n plugins: [standIn],')
  .replace("plugins: [inlineScripts]", "plugins: [inlineScripts, standIn]");
writeFileSync(".standin-run.mjs", text);
