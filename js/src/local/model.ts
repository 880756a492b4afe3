/** A model that answers by itself, as far as the overview's weights reach, while no kernel does. */

import { computed, effect, type ReadonlySignal } from "@preact/signals-core";
import type { Model } from "../model";
import type { Overview } from "../overview";
import { answerLocally } from "./answers";

/**
 * Every request still goes to the kernel first, which alone knows what the weights are now. Where it does not answer,
 * and has not answered before, or is known to be gone, the overview does.
 *
 * @param overview as it is now
 */
export function withLocalAnswers(model: Model, overview: () => Overview): Model {
  const { kernel } = model;
  let heard = false;
  const alone: ReadonlySignal<boolean> = computed(() => {
    heard ||= kernel.value === "alive";
    return kernel.value === "gone" || (kernel.value === "slow" && !heard);
  });
  /** One request goes on waiting for the kernel, so that one that comes back is noticed. */
  let scout: AbortController | null = null;

  const request: Model["request"] = (kind, payload, options = {}) => {
    const { signal } = options;
    if (signal?.aborted) return model.request(kind, payload, options);
    const asked = new AbortController();
    const withdraw = (): void => asked.abort();
    signal?.addEventListener("abort", withdraw);
    const fromKernel = model.request(kind, payload, { ...options, signal: asked.signal });
    return new Promise((resolve, reject) => {
      let done = false;
      let stop = (): void => {};
      const end = (): void => {
        done = true;
        signal?.removeEventListener("abort", withdraw);
        queueMicrotask(() => stop());
        if (scout === asked) scout = null;
      };
      fromKernel.then(
        (reply) => {
          end();
          resolve(reply);
        },
        (reason: unknown) => {
          end();
          reject(reason);
        },
      );
      stop = effect(() => {
        if (!alone.value || done) return;
        const reply = answerLocally(overview(), kind, payload);
        if (!reply) return;
        done = true;
        resolve(reply);
        if (scout && scout !== asked) asked.abort();
        else {
          signal?.removeEventListener("abort", withdraw);
          scout = asked;
        }
      });
    });
  };
  return { ...model, request };
}
