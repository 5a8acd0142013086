/** What a process that tries inputs is to do, as JSON in its first argument. */
export interface Assignment {
  readonly targets: readonly { readonly name: string; readonly inputs: number }[];
  readonly seed: number;
  /** A target is left when it has taken so long, in milliseconds; `null`: when it has had its inputs. */
  readonly targetMs: number | null;
  /** Holds the input that is being tried, for whoever finds the process dead: its length in 4 bytes, then its bytes. */
  readonly inputFile: string;
}

/** What it says on standard output, a line each. Silence means that an input hangs. */
export type Report =
  | { readonly kind: 'opened'; readonly target: string }
  | { readonly kind: 'progress'; readonly target: string; readonly totals: Totals }
  | {
      readonly kind: 'finding';
      readonly target: string;
      readonly problem: string;
      readonly stack: string;
      readonly input: string;
    }
  | { readonly kind: 'done'; readonly target: string; readonly totals: Totals };

export interface Totals {
  readonly inputs: number;
  readonly accepted: number;
  readonly refused: number;
  readonly ms: number;
  /** The largest heap that was seen, with what its buffers hold outside of it, in bytes. */
  readonly peakHeap: number;
}

export const noTotals: Totals = { inputs: 0, accepted: 0, refused: 0, ms: 0, peakHeap: 0 };
