/** Questions to a kernel that leave no trace in it: nothing enters In, Out or the history, no cell number advances. */

import type { Evaluated, ExecuteReply, Future, Kernel } from "./jupyterlab";

const KEY = "weightwidget";

/** How often a question is asked again that was dropped because a cell before it had failed. */
const ATTEMPTS = 5;

/**
 * Evaluates an expression in the user's namespace.
 *
 * `asked` gets the request before its answer is there. Rejected when the kernel restarts or goes.
 */
export async function evaluate(
  kernel: Kernel,
  expression: string,
  asked: (future: Future) => void = () => undefined,
): Promise<Evaluated> {
  let reply: ExecuteReply["content"] | undefined;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const future = kernel.requestExecute({
      code: "",
      silent: true,
      store_history: false,
      allow_stdin: false,
      stop_on_error: false,
      user_expressions: { [KEY]: expression },
    });
    asked(future);
    reply = (await future.done).content;
    if (reply.status !== "aborted") break;
  }
  const answer = reply?.user_expressions?.[KEY];
  if (answer !== undefined) return answer;
  const { ename = "no answer", evalue = "the kernel does not evaluate expressions for extensions" } =
    reply ?? {};
  return { status: "error", ename, evalue, traceback: [] };
}

/** Text as a Python literal. JSON's escapes are Python's, and what JSON leaves as it is may stand in a literal. */
export function literal(text: string): string {
  return JSON.stringify(text);
}

/** Calls a function of weightwidget/panel.py. */
export function call(name: string, ...texts: string[]): string {
  return `__import__("weightwidget.panel", fromlist=["panel"]).${name}(${texts.map(literal).join(", ")})`;
}
