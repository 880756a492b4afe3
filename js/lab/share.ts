/** Packages from the scope that JupyterLab shares with its extensions, as webpack's module federation keeps them. */

import type { Packages } from "./jupyterlab";

interface Shared {
  get(): Promise<() => unknown> | (() => unknown);
  loaded?: boolean | number;
}

export type ShareScope = Record<string, Record<string, Shared> | undefined>;

/**
 * A shared package: the copy that is in use, else the newest.
 *
 * Tokens and base classes must be the very ones that the application has, so none of it is bundled.
 */
export async function shared<K extends keyof Packages>(scope: ShareScope, name: K): Promise<Packages[K]> {
  const versions = Object.entries(scope[name] ?? {}).sort(
    ([a, one], [b, other]) => Number(Boolean(other.loaded)) - Number(Boolean(one.loaded)) || newerFirst(a, b),
  );
  const found = versions[0]?.[1];
  if (found === undefined) throw new Error(`JupyterLab shares no package ${name}`);
  found.loaded = 1;
  const factory = await found.get();
  return factory() as Packages[K];
}

/** Order of versions, newest first; what follows a hyphen (a preview) comes before its release. */
export function newerFirst(a: string, b: string): number {
  const [one, other] = [a, b].map((version) => version.split(/[-+]/)[0]?.split(".").map(Number) ?? []);
  for (let i = 0; i < 3; i++) {
    const difference = (other?.[i] ?? 0) - (one?.[i] ?? 0);
    if (difference) return difference;
  }
  return Number(a.includes("-")) - Number(b.includes("-"));
}
