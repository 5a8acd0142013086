export interface Terminal {
  /** Whether its cursor can be moved. */
  readonly isTerminal: boolean;
  readonly color: boolean;
  /** Columns; where it is no terminal, nothing has to be cut. */
  readonly width: number;
}

/** What can be shown on a standard stream. Colour follows https://no-color.org. */
export function terminalOf(stream: { readonly isTTY?: boolean; readonly columns?: number }): Terminal {
  const isTerminal = stream.isTTY === true && process.env['TERM'] !== 'dumb';
  const color = isTerminal && (process.env['NO_COLOR'] ?? '') === '';
  return { isTerminal, color, width: isTerminal ? (stream.columns ?? 80) : Number.POSITIVE_INFINITY };
}
