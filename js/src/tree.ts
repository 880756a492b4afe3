/**
 * From names of tensors to the tree of layers. Pure. weightwidget/summary/tree.py follows the same rules;
 * tests/protocol/tree.json holds the two together.
 *
 * Names split at dots; the root is "". A module that holds nothing but one other module is drawn as one row with it
 * ("encoder.layer"). Children keep the order in which they first appear. A path may name a tensor and a module.
 */

/** Blocks, and groups of them, are made when somebody unfolds what they are in: they are no part of `Tree`. */
export type NodeKind = "module" | "tensor" | "group" | "block";

export interface TreeNode {
  /** Unique in the tree, and the same for the same thing in a later tree. */
  readonly key: string;
  readonly kind: NodeKind;
  /** Full name; of merged modules, that of the deepest; of groups, that of the first and last number. */
  readonly path: string;
  /** What the row says: the path without that of the parent row. */
  label: string;
  /** Number of a tensor in the given names; -1 for all else. */
  readonly tensor: number;
  parent: TreeNode | null;
  children: TreeNode[];
  /** Runs of equal siblings among the children, as nodes of their own with the run as children. */
  groups: TreeNode[];
  /** Place in `Tree.nodes`. */
  index: number;
}

export interface Tree {
  readonly root: TreeNode;
  /** All modules and tensors, parents before children, in model order. Groups are not among them. */
  readonly nodes: readonly TreeNode[];
  /** By number of the tensor; a repeated name has the node of its first. */
  readonly tensors: readonly TreeNode[];
  /** By path, those that were merged into a deeper one included. */
  readonly modules: ReadonlyMap<string, TreeNode>;
}

export interface TreeFacts {
  shape?(tensor: number): readonly number[];
  /** Class of a module by path, "" if unknown. */
  kind?(path: string): string;
}

/** Levels below the root. The rest of a deeper name is one label: a hostile name cannot exhaust the memory. */
export const MAX_DEPTH = 64;
/** Shortest run of equal siblings that counts as a group. */
const MIN_RUN = 3;
const NUMBER = /^[0-9]+$/;

/** Paths of the modules that contain a path, the root first. */
export function ancestors(path: string): string[] {
  const found = [""];
  let at = path.indexOf(".");
  while (at >= 0 && found.length < MAX_DEPTH) {
    // A leading dot opens no level: the path before it is the root.
    if (at > 0) found.push(path.slice(0, at));
    at = path.indexOf(".", at + 1);
  }
  return found;
}

export function buildTree(names: readonly string[], facts: TreeFacts = {}): Tree {
  const root = node("module", "", "", -1);
  const modules = new Map([["", root]]);
  const byName = new Map<string, TreeNode>();
  const tensors = names.map((name, tensor) => {
    const known = byName.get(name);
    if (known) return known;
    const owner = ownerOf(name, modules, root);
    const leaf = node("tensor", name, labelOf(name, owner), tensor);
    byName.set(name, leaf);
    owner.children.push(leaf);
    return leaf;
  });
  findGroups(root, facts);
  mergeChains(root, modules);
  const nodes: TreeNode[] = [];
  number(root, nodes);
  return { root, nodes, tensors, modules };
}

function node(kind: NodeKind, path: string, label: string, tensor: number): TreeNode {
  const key = `${kind[0]}:${path}`;
  return { key, kind, path, label, tensor, parent: null, children: [], groups: [], index: -1 };
}

/** A block under the node that it is drawn under. */
export function blockNode(parent: TreeNode, path: string, label: string): TreeNode {
  return { ...node("block", path, label, -1), parent };
}

/** A group of blocks in a module. */
export function groupNode(parent: TreeNode, label: string): TreeNode {
  return { ...node("group", `${parent.path} › ${label}`, label, -1), parent };
}

function labelOf(path: string, parent: TreeNode): string {
  return parent.path ? path.slice(parent.path.length + 1) : path;
}

function ownerOf(name: string, modules: Map<string, TreeNode>, root: TreeNode): TreeNode {
  // Most tensors have an owner that is there already.
  const dot = name.lastIndexOf(".");
  const known = dot <= 0 ? root : modules.get(name.slice(0, dot));
  if (known) return known;
  let owner = root;
  for (const path of ancestors(name).slice(1)) {
    let module = modules.get(path);
    if (!module) {
      module = node("module", path, labelOf(path, owner), -1);
      modules.set(path, module);
      owner.children.push(module);
    }
    owner = module;
  }
  return owner;
}

function findGroups(root: TreeNode, facts: TreeFacts): void {
  const numbers = new Map<string, number>();
  /** A number that two nodes share exactly if they are alike but for their own names. */
  const signature = (of: TreeNode): number => {
    let content: string;
    if (of.kind === "tensor") {
      content = `t${(facts.shape?.(of.tensor) ?? []).join("x")}`;
    } else {
      const inner = of.children.map(signature);
      addGroups(of, inner);
      const labels = of.children.map((child) => child.label);
      content = `m${JSON.stringify([facts.kind?.(of.path) ?? "", labels, inner])}`;
    }
    let found = numbers.get(content);
    if (found === undefined) {
      found = numbers.size;
      numbers.set(content, found);
    }
    return found;
  };
  signature(root);
}

function addGroups(parent: TreeNode, signatures: readonly number[]): void {
  const { children } = parent;
  const numbered = (at: number): boolean => NUMBER.test((children[at] as TreeNode).label);
  let start = 0;
  for (let stop = 1; stop <= children.length; stop++) {
    const first = numbered(start);
    if (stop < children.length && first && numbered(stop) && signatures[stop] === signatures[start]) continue;
    if (first && stop - start >= MIN_RUN) {
      const run = children.slice(start, stop);
      const labels = run.map((child) => child.label).sort((a, b) => Number(a) - Number(b));
      const label = `${labels[0]} … ${labels[labels.length - 1]}`;
      const group = node("group", parent.path ? `${parent.path}.${label}` : label, label, -1);
      group.parent = parent;
      group.children = run;
      parent.groups.push(group);
    }
    start = stop;
  }
}

function mergeChains(parent: TreeNode, modules: Map<string, TreeNode>): void {
  const merged = new Map<TreeNode, TreeNode>();
  parent.children = parent.children.map((start) => {
    let child = start;
    let { label } = start;
    while (child.children.length === 1 && child.children[0]?.kind === "module") {
      const deeper = child.children[0];
      label = `${label}.${deeper.label}`;
      child = deeper;
    }
    // The modules on the way now lead to the deepest.
    for (let path = start; path !== child; path = path.children[0] as TreeNode) modules.set(path.path, child);
    child.label = label;
    child.parent = parent;
    merged.set(start, child);
    mergeChains(child, modules);
    return child;
  });
  for (const group of parent.groups) {
    group.children = group.children.map((child) => merged.get(child) ?? child);
  }
}

function number(start: TreeNode, nodes: TreeNode[]): void {
  start.index = nodes.length;
  nodes.push(start);
  for (const child of start.children) number(child, nodes);
}
