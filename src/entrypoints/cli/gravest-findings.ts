import type { Finding } from '../../domain/pipeline.ts';

export const severities = ['critical', 'warning', 'info'] as const satisfies readonly NonNullable<
  Finding['severity']
>[];

/** Keeps the first few of the gravest severity, however many are added. */
export class GravestFindings<F extends Pick<Finding, 'severity'> = Finding> {
  readonly #limit: number;
  readonly #bySeverity = new Map<string, F[]>(severities.map((severity) => [severity, []]));
  #total = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get total(): number {
    return this.#total;
  }

  add(finding: F): void {
    this.#total++;
    const same = this.#bySeverity.get(finding.severity ?? 'info');
    if (same !== undefined && same.length < this.#limit) same.push(finding);
  }

  /** The gravest first; of one severity in the order in which they came. */
  list(): readonly F[] {
    return [...this.#bySeverity.values()].flat().slice(0, this.#limit);
  }
}
