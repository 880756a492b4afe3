/** What the panel of experts knows. The kernel is asked for one layer after the other. */

import { batch, computed, type ReadonlySignal, type Signal, signal, untracked } from "@preact/signals-core";
import type { ExpertLayer } from "../../anatomy";
import { doubles } from "../../buffers";
import { RequestCancelled } from "../../model";
import type { Overview } from "../../overview";
import type { Store } from "../../store";
import { weightChanges } from "../tokens/generation";
import { expertAt, inLayer, noiseWork, pathsOf, ROUTER, rolesOf, shapeOf } from "./layers";

export interface Router {
  readonly norms: Float64Array;
  readonly cosines: Float64Array;
}

type Kind = "noise" | "similarity" | "router";

interface Job {
  readonly kind: Kind;
  readonly layer: number;
  readonly role: string;
}

export interface ExpertState {
  readonly store: Store;
  readonly shown: ReadonlySignal<boolean>;
  readonly layers: ReadonlySignal<readonly ExpertLayer[]>;
  readonly roles: ReadonlySignal<readonly string[]>;
  /** One of `roles`. */
  readonly role: ReadonlySignal<string>;
  setRole(role: string): void;
  readonly statistic: Signal<string>;
  /** Number of the layer that what is selected belongs to; else the one looked at last. */
  readonly layer: ReadonlySignal<number>;
  /** Number of the selected expert, -1 for none. */
  readonly expert: ReadonlySignal<number>;
  noise(layer: number, role: string): Float64Array | null;
  similarity(layer: number, role: string): Float64Array | null;
  router(layer: number): Router | null;
  /** Share of what is asked of the kernel that has come; null if nothing is. */
  readonly progress: ReadonlySignal<number | null>;
  readonly stopped: Signal<boolean>;
  readonly problem: ReadonlySignal<string>;
}

/** Comparing with noise begins unasked up to so many multiplications: some seconds. */
const UNASKED = 1e11;

export function expertState(store: Store, shown: ReadonlySignal<boolean>): ExpertState {
  const { traits, model } = store;
  const layers = computed(() => store.base.value.layers.experts);
  const roles = computed(() => rolesOf(layers.value));
  const wantedRole = signal("");
  const statistic = signal("std");
  const stopped = signal(false);
  const problem = signal("");
  const results = signal<ReadonlyMap<string, Float64Array | Router>>(new Map());
  const failed = signal<ReadonlySet<string>>(new Set());
  const inner = signal(0);

  const at = computed(() => {
    const path = traits.selected.value;
    const overview = store.base.value;
    const all = layers.value;
    const inside = all.findIndex((layer) => expertAt(layer, path) !== null);
    const place =
      inside >= 0 ? inside : all.findIndex((layer) => layer.path !== "" && inLayer(overview, layer, path));
    const layer = all[place];
    const found = layer ? expertAt(layer, path) : null;
    return { layer: place, expert: found?.expert ?? -1, role: found?.role ?? null };
  });
  let last = 0;
  const layer = computed(() => {
    if (at.value.layer >= 0) last = at.value.layer;
    return Math.min(last, Math.max(0, layers.value.length - 1));
  });
  const role = computed(() => {
    const wanted = wantedRole.value;
    return roles.value.includes(wanted) ? wanted : (roles.value[0] ?? "");
  });
  // Who selects another weight of an expert wants to see that role.
  store.effect(() => {
    const found = at.value.role;
    if (found !== null && untracked(() => role.value) !== ROUTER) wantedRole.value = found;
  });

  const rows = computed(() => {
    const overview = store.base.value;
    const found = new Set<number>();
    for (const one of layers.value) {
      if (one.router !== null) found.add(one.router);
      for (const { pattern, role: own, stacked } of one.weights) {
        const names = stacked === null ? pathsOf(one, own) : [pattern];
        for (const name of names) found.add(overview.rowOf(name));
      }
    }
    return [...found].filter((row) => row >= 0);
  });
  const changes = weightChanges(store, rows);

  const wanted = computed<readonly Job[]>(() => {
    const all = layers.value;
    const now = layer.value;
    const chosen = role.value;
    const key = statistic.value;
    const overview = store.overview.value;
    const jobs: Job[] = [];
    const every = (kind: Kind): void => {
      // The layer that is looked at first.
      for (const place of [now, ...all.keys()].filter((one, i, list) => list.indexOf(one) === i))
        jobs.push({ kind, layer: place, role: kind === "router" ? ROUTER : chosen });
    };
    if (all.length === 0) return jobs;
    if (chosen === ROUTER) every("router");
    else {
      jobs.push({ kind: "similarity", layer: now, role: chosen });
      const work = all.reduce((sum, one) => sum + noiseWork(one, shapeOf(overview, one, chosen)), 0);
      if (key === "noise" || work < UNASKED) every("noise");
      if (key === "alike" || similarityWork(all, overview, chosen) < UNASKED) every("similarity");
      // The other weights of the expert whose numbers are shown.
      if (work < UNASKED && at.value.expert >= 0)
        for (const { role: other } of all[now]?.weights ?? [])
          jobs.push({ kind: "noise", layer: now, role: other });
    }
    return jobs.filter(
      (job, i) => jobs.findIndex((other) => keyOf(other) === keyOf(job)) === i && exists(job),
    );
  });
  const exists = ({ kind, layer: place, role: of }: Job): boolean => {
    const one = layers.peek()[place];
    if (!one) return false;
    return kind === "router" ? one.router !== null : pathsOf(one, of).length > 1 && one.experts <= 1024;
  };

  // One request at a time, so that a click elsewhere is answered soon.
  let running: { key: string; abort: AbortController } | null = null;
  const pump = (): void => {
    if (running || !shown.peek() || stopped.peek() || store.lifetime.aborted) return;
    const job = wanted
      .peek()
      .find((one) => !results.peek().has(keyOf(one)) && !failed.peek().has(keyOf(one)));
    const one = job && layers.peek()[job.layer];
    if (!job || !one) return;
    const key = keyOf(job);
    const abort = new AbortController();
    running = { key, abort };
    inner.value = 0;
    const onProgress = (share: number): void => {
      if (!abort.signal.aborted) inner.value = share;
    };
    ask(store, job, one, { signal: abort.signal, onProgress })
      .then((found) => {
        if (!abort.signal.aborted) results.value = new Map(results.peek()).set(key, found);
      })
      .catch((reason: unknown) => {
        if (reason instanceof RequestCancelled) return;
        batch(() => {
          failed.value = new Set(failed.peek()).add(key);
          problem.value = reason instanceof Error ? reason.message : String(reason);
        });
      })
      .finally(() => {
        if (running?.key !== key) return;
        running = null;
        pump();
      });
  };
  const stop = (): void => {
    running?.abort.abort();
    running = null;
  };
  store.effect(() => {
    void [layers.value, changes.value];
    untracked(() =>
      batch(() => {
        stop();
        failed.value = new Set();
        problem.value = "";
        results.value = new Map();
      }),
    );
  });
  store.effect(() => {
    const jobs = wanted.value;
    void [changes.value, shown.value, model.kernel.value];
    const halted = stopped.value;
    untracked(() => {
      // What is no longer wanted must not hold up what is.
      if (running && (halted || !jobs.some((job) => keyOf(job) === running?.key))) stop();
      queueMicrotask(pump);
    });
  });
  store.lifetime.addEventListener("abort", stop);

  const progress = computed(() => {
    const jobs = wanted.value.filter((job) => !failed.value.has(keyOf(job)));
    const done = jobs.filter((job) => results.value.has(keyOf(job))).length;
    if (done === jobs.length || !shown.value || model.kernel.value === "gone") return null;
    return Math.min(1, (done + inner.value) / jobs.length);
  });
  const get = (kind: Kind, place: number, of: string): Float64Array | Router | null =>
    results.value.get(keyOf({ kind, layer: place, role: of })) ?? null;

  return {
    ...{ store, shown, layers, roles, role, statistic, layer, progress, stopped, problem },
    setRole: (chosen) => {
      wantedRole.value = chosen;
    },
    expert: computed(() => at.value.expert),
    noise: (place, of) => get("noise", place, of) as Float64Array | null,
    similarity: (place, of) => get("similarity", place, of) as Float64Array | null,
    router: (place) => get("router", place, ROUTER) as Router | null,
  };
}

/** Multiplications that comparing the experts of all layers with each other takes. */
function similarityWork(layers: readonly ExpertLayer[], overview: Overview, role: string): number {
  return layers.reduce((sum, layer) => {
    const weights = shapeOf(overview, layer, role).reduce((a, b) => a * b, 1);
    return sum + layer.experts * layer.experts * weights;
  }, 0);
}

function keyOf({ kind, layer, role }: Job): string {
  return `${kind} ${layer} ${role}`;
}

async function ask(
  store: Store,
  { kind, role }: Job,
  layer: ExpertLayer,
  options: { signal: AbortSignal; onProgress(share: number): void },
): Promise<Float64Array | Router> {
  if (kind === "router") {
    const tensor = store.base.peek().names[layer.router as number] as string;
    const reply = await store.model.request("experts.router", { tensor, axis: layer.router_axis }, options);
    return { norms: doubles(reply.buffers[0]), cosines: doubles(reply.buffers[1]) };
  }
  const paths = pathsOf(layer, role);
  const name = kind === "noise" ? "experts.noise" : "experts.similarity";
  return doubles((await store.model.request(name, { paths }, options)).buffers[0]);
}
