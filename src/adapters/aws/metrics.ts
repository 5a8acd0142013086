import type { Clock, Counter, LogFields, Metrics } from '../../domain/ports/ambient.ts';
import { standardOutput, type LineStream } from './log.ts';

export interface EmfMetricsOptions {
  /** Default `Sluice`. */
  readonly namespace?: string;
  /** The dimensions: every metric is found by all three. Versions stand beside each other, and each has alarms of its own. */
  readonly pipeline: string;
  readonly version: number;
  readonly function: string;
  /** To be searched for in the log, and no dimensions: `requestId`, `run`, `task`, `build`. */
  readonly properties?: LogFields;
  /** Default: standard output. */
  readonly stream?: LineStream;
}

/** What CloudWatch takes in one line. */
const MAX_METRICS = 100;
const BYTES: ReadonlySet<Counter> = new Set<Counter>(['bytesRead', 'frameBytes']);

/**
 * Counters as CloudWatch metrics, in the embedded metric format: a JSON line in the log, of which CloudWatch
 * makes metrics by itself. One instance for each invocation, because many may run in one process at once; it writes
 * when it is flushed, and once.
 *
 * A writer of our own: the library that AWS has for it keeps one buffer for the process, keeps every single value that is
 * added, and writes as soon as a metric has 100 of them.
 */
export class EmfMetrics implements Metrics {
  readonly #clock: Clock;
  readonly #options: EmfMetricsOptions;
  readonly #totals = new Map<Counter, number>();

  constructor({ clock }: { readonly clock: Clock }, options: EmfMetricsOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  add(counter: Counter, value: number): void {
    this.#totals.set(counter, (this.#totals.get(counter) ?? 0) + value);
  }

  /** Writes what was counted since the last time; nothing where that is nothing. */
  flush(): void {
    const counted = [...this.#totals];
    this.#totals.clear();
    const { stream = standardOutput } = this.#options;
    for (let from = 0; from < counted.length; from += MAX_METRICS) {
      stream.write(`${JSON.stringify(this.#line(counted.slice(from, from + MAX_METRICS)))}\n`);
    }
  }

  #line(counted: readonly (readonly [Counter, number])[]): object {
    const { namespace = 'Sluice', pipeline, version, properties = {} } = this.#options;
    return {
      ...properties,
      pipeline,
      version: String(version),
      function: this.#options.function,
      ...Object.fromEntries(counted),
      _aws: {
        Timestamp: this.#clock.now(),
        CloudWatchMetrics: [
          {
            Namespace: namespace,
            Dimensions: [['pipeline', 'version', 'function']],
            Metrics: counted.map(([counter]) => ({
              Name: counter,
              Unit: BYTES.has(counter) ? 'Bytes' : 'Count',
            })),
          },
        ],
      },
    };
  }
}
