import { isSluiceError } from '../../domain/errors.ts';
import type { KinesisRecord } from './events.ts';

export interface ApplyOptions {
  /** Records in hand at once. */
  readonly limit: number;
  /** Whether there is no time left to begin another one. */
  readonly isLate: () => boolean;
  /** Told of every record that is not done. */
  readonly onFailure: (record: KinesisRecord, thrown: unknown) => void;
}

/**
 * Applies the records of a batch: those of one partition in their order, those of different ones side by side.
 *
 * What comes after a record that can be tried again would come again anyway, so it is not begun. A record that never will be
 * done (damaged, of a build that nobody has) holds nobody up: the others are applied, and are duplicates when it comes again.
 *
 * @returns the records that are not done
 */
export async function applyRecords(
  records: readonly KinesisRecord[],
  options: ApplyOptions,
  apply: (record: KinesisRecord) => Promise<void>,
): Promise<readonly KinesisRecord[]> {
  const waiting = [...records];
  const busy = new Set<string>();
  const unfinished: KinesisRecord[] = [];
  let stopped = false;
  /** The next record whose partition nobody has in hand. */
  const take = (): KinesisRecord | undefined => {
    if (stopped) return undefined;
    const at = waiting.findIndex(({ kinesis }) => !busy.has(kinesis.partitionKey));
    if (at < 0) return undefined;
    // The first is always begun: a batch that is given back untouched would come back like this.
    if (waiting.length < records.length && options.isLate()) {
      stopped = true;
      return undefined;
    }
    return waiting.splice(at, 1)[0];
  };
  const running = new Set<Promise<void>>();
  const begin = (record: KinesisRecord) => {
    const { partitionKey } = record.kinesis;
    busy.add(partitionKey);
    const run = apply(record)
      .catch((thrown: unknown) => {
        unfinished.push(record);
        options.onFailure(record, thrown);
        if (!isHopeless(thrown)) stopped = true;
      })
      .finally(() => {
        busy.delete(partitionKey);
        running.delete(run);
      });
    running.add(run);
  };
  for (;;) {
    while (running.size < options.limit) {
      const record = take();
      if (record === undefined) break;
      begin(record);
    }
    if (running.size === 0) return [...unfinished, ...waiting];
    await Promise.race(running);
  }
}

function isHopeless(thrown: unknown): boolean {
  return isSluiceError(thrown) && !thrown.retryable && thrown.code !== 'E_ABORTED';
}
