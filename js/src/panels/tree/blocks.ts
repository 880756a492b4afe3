/** Nodes of blocks, made when somebody unfolds what they are in. */

import type { AttentionLayer } from "../../anatomy";
import type { Overview } from "../../overview";
import { blockNode, groupNode, type Tree, type TreeNode } from "../../tree";

export interface BlockNodes {
  /** Whether there are blocks in a tensor or block. */
  has(node: TreeNode): boolean;
  /** The blocks in a tensor or block; of a module that attends, its heads as one group. */
  of(node: TreeNode): readonly TreeNode[];
  /** The node of a block's path, null if there is none. */
  nodeOf(path: string): TreeNode | null;
}

/** The nodes belong to one tree and one anatomy. @param now the overview as it is when something is asked */
export function blockNodes(tree: Tree, now: () => Overview): BlockNodes {
  const { layers } = now();
  const heads = new Map<TreeNode, AttentionLayer>();
  for (const layer of layers.attention) {
    // A module that was merged into a deeper one is drawn as one with it.
    const module = tree.modules.get(layer.path);
    if (module) heads.set(module, layer);
  }
  const made = new Map<string, readonly TreeNode[]>();

  const make = (node: TreeNode): readonly TreeNode[] => {
    const overview = now();
    const nodes = (parent: TreeNode, path: string): TreeNode[] =>
      overview.blocksOf(path).map((one) => {
        const place = overview.block(overview.rowOf(one));
        return blockNode(parent, one, place?.label ?? one);
      });
    if (node.kind !== "module") return nodes(node, node.path);
    const layer = heads.get(node);
    if (!layer) return [];
    const group = groupNode(node, `head 0 … ${layer.heads - 1}`);
    group.children = nodes(group, layer.path);
    return group.children.length > 0 ? [group] : [];
  };
  const of = (node: TreeNode): readonly TreeNode[] => {
    if (node.kind === "group") return [];
    let found = made.get(node.key);
    if (!found) {
      found = make(node);
      made.set(node.key, found);
    }
    return found;
  };

  const nodeOf = (path: string): TreeNode | null => {
    const overview = now();
    const place = overview.block(overview.rowOf(path));
    if (!place) return null;
    const row = overview.rowOf(place.parent);
    const around = overview.block(row)
      ? nodeOf(place.parent)
      : overview.isTensor(row)
        ? (tree.tensors[row] ?? null)
        : (tree.modules.get(place.parent) ?? null);
    if (!around) return null;
    const inside = of(around).flatMap((node) => (node.kind === "group" ? node.children : [node]));
    return inside.find((node) => node.path === place.path) ?? null;
  };

  return {
    has: (node) => {
      const overview = now();
      if (node.kind === "tensor") return (overview.axes(node.tensor)?.splits.length ?? 0) > 0;
      if (node.kind !== "block") return false;
      const place = overview.block(overview.rowOf(node.path));
      return place !== null && (place.parts.length > 0 || (place.axes?.splits.length ?? 0) > 0);
    },
    of,
    nodeOf,
  };
}
