/** Exit codes of every command; in `--help` and in the README. */
export const exitCodes = {
  /** All that was planned is complete. */
  ok: 0,
  /** The command itself failed, or objects were refused: the message says what to do. */
  broken: 1,
  /** Done, but with more open failures than `--max-failures`. */
  failures: 2,
  /** Stopped by Ctrl-C; the same command continues. */
  interrupted: 130,
} as const;
