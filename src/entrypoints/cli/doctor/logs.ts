/** An error that nobody sees: no exception of the pipeline's, no failure, only a line in a log. */
export interface HiddenError {
  readonly code: string;
  readonly meaning: string;
  readonly remedy: string;
}

export interface LogFinding extends HiddenError {
  readonly count: number;
  /** The first line of its kind, cut. */
  readonly example: string;
}

/** Of a line: enough to recognise it. In UTF-16 code units. */
const LONGEST_EXAMPLE = 400;

/** The first that fits counts: a process that ran out of memory exits, too, and the more telling name comes first. */
const kinds: readonly (HiddenError & { readonly pattern: RegExp })[] = [
  {
    code: 'L_OUT_OF_MEMORY',
    pattern:
      /signal: killed|Runtime\.OutOfMemory|JavaScript heap out of memory|Allocation failed - process out of memory/,
    meaning: 'The function ran out of memory and was killed.',
    remedy: 'Give it more memory, or lower the limits of the pipeline (maxRowGroupBytes, sectionBytes).',
  },
  {
    code: 'L_TIMED_OUT',
    pattern:
      /Task timed out after|"errorType":\s*"Sandbox\.Timedout"|Sandbox\.Timedout|"status":\s*"timeout"/,
    meaning: 'The function was stopped in the middle of its work: it comes again.',
    remedy: 'See what the line before says was under way; give it a longer timeout, or smaller tasks.',
  },
  {
    code: 'L_EXITED_EARLY',
    pattern: /Process exited before completing request|Runtime\.NodeJsExit/,
    meaning: 'The process ended while a request was under way: nothing waited for what it had begun.',
    remedy: 'Look for process.exit and for promises that nobody awaits in the pipeline and what it imports.',
  },
  {
    code: 'L_NOT_AWAITED',
    pattern: /Unhandled ?Promise ?Rejection|unhandledRejection|\bE_NOT_AWAITED\b/i,
    meaning: 'A promise was rejected and nobody awaited it.',
    remedy: "Make the pipeline's functions synchronous; await what is begun.",
  },
  {
    code: 'L_FLOATING_WORK',
    pattern: /\bE_FLOATING_WORK\b/,
    meaning: 'A handler returned while a write was in flight.',
    remedy: 'A defect of Sluice, or of a provider of your own: report it, with the line.',
  },
  {
    code: 'L_RUNTIME_EXITED',
    pattern:
      /Runtime\.ExitError|Runtime exited (with error|without providing a reason)|"errorType":\s*"Runtime\./,
    meaning: 'The runtime ended and was started anew.',
    remedy: 'The lines of the same request before it tell why; without any, memory is the usual reason.',
  },
  {
    code: 'L_LOOP_STOPPED',
    pattern: /recursive(ly)? (loop|invoc)/i,
    meaning: 'Lambda took a function that goes on by messages to itself for a loop, and stopped it.',
    remedy: 'Set RecursiveLoop to Allow for dispatch and transform.',
  },
];

/** Counts hidden errors line by line, so that a log of any length can be piped through. */
export class LogScan {
  readonly #found = new Map<string, { count: number; example: string }>();
  #lines = 0;

  /** Lines that were looked at. */
  get lines(): number {
    return this.#lines;
  }

  add(line: string): void {
    this.#lines++;
    const kind = kinds.find(({ pattern }) => pattern.test(line));
    if (kind === undefined) return;
    const found = this.#found.get(kind.code);
    if (found === undefined)
      this.#found.set(kind.code, { count: 1, example: line.slice(0, LONGEST_EXAMPLE).trim() });
    else found.count++;
  }

  /** The most frequent first. */
  findings(): readonly LogFinding[] {
    return kinds
      .flatMap(({ code, meaning, remedy }) => {
        const found = this.#found.get(code);
        return found === undefined ? [] : [{ code, meaning, remedy, ...found }];
      })
      .sort((a, b) => b.count - a.count);
  }
}
