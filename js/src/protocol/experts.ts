/** Mixtures of experts: layer by expert. Mirrors weightwidget/wire/protocol/experts.py. */

export interface ExpertsRequests {
  "experts.router": { request: { tensor: string; axis: number }; reply: { experts: number } };
  "experts.similarity": { request: { paths: string[] }; reply: { experts: number } };
  "experts.noise": { request: { paths: string[] }; reply: { experts: number } };
}
