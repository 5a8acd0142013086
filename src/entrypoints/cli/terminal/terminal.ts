export interface Terminal {
  /** Whether its cursor can be moved. */
  readonly isTerminal: boolean;
  readonly color: boolean;
  /** Columns; where it is no terminal, nothing has to be cut. */
  readonly width: number;
}

/** Columns of a terminal that does not tell. */
const UNKNOWN_WIDTH = 80;

/** What can be shown on a standard stream. Colour follows https://no-color.org. */
export function terminalOf(stream: { readonly isTTY?: boolean; readonly columns?: number }): Terminal {
  const isTerminal = stream.isTTY === true && process.env['TERM'] !== 'dumb';
  const color = isTerminal && (process.env['NO_COLOR'] ?? '') === '';
  // A terminal without a size says 0: one that `script` or a container made.
  const columns = (stream.columns ?? 0) > 0 ? (stream.columns as number) : UNKNOWN_WIDTH;
  return { isTerminal, color, width: isTerminal ? columns : Number.POSITIVE_INFINITY };
}
