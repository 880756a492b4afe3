/** The layer tree: the cases that Python reads too, and what the front end alone does with it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import cases from "../../tests/protocol/tree.json";
import { ancestors, buildTree, type TreeNode } from "../src/tree";

interface Expected {
  path: string;
  label: string;
  kind?: string;
  children?: Expected[];
  groups?: number[][];
}

function asJson(node: TreeNode): Expected {
  if (node.kind === "tensor") return { path: node.path, label: node.label, kind: "tensor" };
  const out: Expected = { path: node.path, label: node.label, children: node.children.map(asJson) };
  if (node.groups.length > 0) {
    out.groups = node.groups.map((group) => {
      const start = node.children.indexOf(group.children[0] as TreeNode);
      return [start, start + group.children.length];
    });
  }
  return out;
}

for (const given of cases) {
  test(`shared case: ${given.case}`, () => {
    const shapes = new Map(Object.entries(given.shapes ?? {}) as [string, number[]][]);
    const kinds = new Map(Object.entries(given.kinds ?? {}) as [string, string][]);
    const tree = buildTree(given.names, {
      shape: (tensor) => shapes.get(given.names[tensor] as string) ?? [],
      kind: (path) => kinds.get(path) ?? "",
    });
    assert.deepEqual(asJson(tree.root), given.tree as Expected);
  });
}

test("nodes know their place, their parent and their number", () => {
  const names = ["h.0.w", "h.1.w", "h.2.w", "a.b.c.x", "a.b.c.y", "h"];
  const tree = buildTree(names);
  tree.nodes.forEach((node, place) => {
    assert.equal(node.index, place);
    for (const child of node.children) {
      assert.equal(child.parent, node);
      assert.ok(child.index > place);
    }
  });
  names.forEach((name, tensor) => {
    assert.equal(tree.tensors[tensor]?.path, name);
    assert.equal(tree.tensors[tensor]?.tensor, tensor);
  });
  assert.equal(new Set(tree.nodes.map((node) => node.key)).size, tree.nodes.length);
  assert.equal(tree.modules.get("a")?.path, "a.b.c");
  assert.equal(tree.modules.get("a.b")?.path, "a.b.c");
  assert.equal(tree.modules.get("h")?.kind, "module");
});

test("a group says its lowest and highest number and holds the merged rows", () => {
  const tree = buildTree(["h.10.conv.w", "h.2.conv.w", "h.1.conv.w"]);
  const group = tree.modules.get("h")?.groups[0];
  assert.equal(group?.label, "1 … 10");
  assert.deepEqual(
    group?.children.map((child) => child.path),
    ["h.10.conv", "h.2.conv", "h.1.conv"],
  );
});

test("ancestors are those of Python", () => {
  assert.deepEqual(ancestors("a.b.weight"), ["", "a", "a.b"]);
  assert.deepEqual(ancestors(".a.b"), ["", ".a"]);
  assert.equal(ancestors(".".repeat(100_000)).length, 64);
});

test("20 000 tensors are a tree within a moment", () => {
  const names = Array.from(
    { length: 20_000 },
    (_, i) => `layers.${i % 40}.moe.experts.${Math.floor(i / 40)}.w`,
  );
  const start = performance.now();
  const tree = buildTree(names, { shape: () => [8, 8] });
  assert.ok(performance.now() - start < 500);
  assert.equal(tree.root.children[0]?.groups[0]?.children.length, 40);
});
