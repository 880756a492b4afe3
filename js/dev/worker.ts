/** The fake kernel's process: makes the weights, packs the overview and answers, all off the page's own thread. */

import { kernel } from "./kernel";
import { type ModelName, makeModel } from "./models";
import { pack, summariseAll } from "./pack";

export interface Start {
  model: ModelName;
  /** Share of the tensors that the scan comes to. */
  share: number;
}

export type ToPage =
  | { ready: { overview: ArrayBuffer; selected: string } }
  | { answer: { id: string; content: Record<string, unknown>; buffers: ArrayBuffer[] } };

const post = (message: ToPage, transfer: ArrayBuffer[]): void => self.postMessage(message, { transfer });

let answer: ReturnType<typeof kernel> | undefined;

self.addEventListener("message", ({ data }: MessageEvent<Start | { request: Record<string, unknown> }>) => {
  if ("model" in data) {
    const source = makeModel(data.model);
    const records = summariseAll(source);
    answer = kernel(source, records);
    const overview = pack(source, records, Math.ceil(data.share * source.tensors.length));
    post({ ready: { overview, selected: source.selected } }, [overview]);
  } else if (answer) {
    const { content, buffers } = answer(data.request);
    const id = data.request.id as string;
    post({ answer: { id, content, buffers } }, buffers);
  }
});
