import type { KilledRow, KilledRows, KilledScope } from '../../domain/ports/killed-rows.ts';

/** Verdicts that last as long as the process. */
export class InMemoryKilledRows implements KilledRows {
  /** By coordinate, by scope. */
  readonly #rows = new Map<string, Map<number, KilledRow>>();

  async of(scope: KilledScope, signal: AbortSignal): Promise<readonly KilledRow[]> {
    signal.throwIfAborted();
    const rows = this.#rows.get(nameOf(scope))?.values() ?? [];
    return [...rows].sort((a, b) => a.coordinate - b.coordinate);
  }

  async add(scope: KilledScope, row: KilledRow, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const name = nameOf(scope);
    const rows = this.#rows.get(name) ?? new Map<number, KilledRow>();
    this.#rows.set(name, rows);
    if (!rows.has(row.coordinate)) rows.set(row.coordinate, { ...row });
  }
}

function nameOf({ generation, build, object }: KilledScope): string {
  return JSON.stringify([generation, build, object.bucket, object.key, object.version]);
}
