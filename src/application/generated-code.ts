/**
 * Runs code that was made for exactly the names, columns or measures of a pipeline: V8 compiles each place of it for what comes there, which a loop over
 * names does not get. It goes through nobody else's hands: texts get into it by `codeOf` alone.
 *
 * @param code a function's body
 * @returns what it returns
 */
export function generated(code: string): unknown {
  // oxlint-disable-next-line typescript/no-implied-eval -- texts get into it as string literals alone
  return (new Function(code) as () => unknown)();
}

/**
 * Code for a string literal. JSON is one in JavaScript for every text, also with U+2028 and U+2029, so that no
 * column's name can become code.
 */
export function codeOf(text: string): string {
  return JSON.stringify(text);
}

/** What is kept of one kind: shapes of messages, headers of files. */
const MAX_KEPT = 64;

/** Made once for each key, and forgotten once there are many others. */
export function keptByKey<Made>(all: Map<string, Made>, key: string, make: () => Made): Made {
  let made = all.get(key);
  if (made === undefined) {
    made = make();
    const [oldest] = all.keys();
    if (oldest !== undefined && all.size >= MAX_KEPT) all.delete(oldest);
    all.set(key, made);
  }
  return made;
}
