/** Whether a stream ended because its reader has enough: `sluice results lanes | head`. */
export function isBrokenPipe(thrown: unknown): boolean {
  return thrown instanceof Error && (thrown as NodeJS.ErrnoException).code === 'EPIPE';
}
