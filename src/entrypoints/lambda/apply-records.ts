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
 * What comes after a record that is to be tried again comes again anyway, so it is not begun. A record that never will be
 * done (damaged, of a build that nobody has) holds nobody up: the others are applied, and are duplicates when it comes again.
 *
 * @returns the records that are not done
 */
export async function applyRecords(
  records: readonly KinesisRecord[],
  options: ApplyOptions,
  apply: (record: KinesisRecord) => Promise<void>,
): Promise<readonly KinesisRecord[]> {
  /** Places in the batch, ascending. */
  const waiting = [...records.keys()];
  const busy = new Set<string>();
  const running = new Set<Promise<void>>();
  const unfinished: KinesisRecord[] = [];
  /** What comes again anyway: from this place on nothing is begun. */
  let end = records.length;
  const partitionAt = (place: number) => (records[place] as KinesisRecord).kinesis.partitionKey;
  const begin = (place: number) => {
    const record = records[place] as KinesisRecord;
    busy.add(partitionAt(place));
    const run = apply(record)
      .catch((thrown: unknown) => {
        unfinished.push(record);
        options.onFailure(record, thrown);
        if (!isHopeless(thrown)) end = Math.min(end, place);
      })
      .finally(() => {
        busy.delete(partitionAt(place));
        running.delete(run);
      });
    running.add(run);
  };
  for (;;) {
    while (running.size < options.limit) {
      const at = waiting.findIndex((place) => !busy.has(partitionAt(place)));
      const place = waiting[at];
      if (place === undefined || place >= end) break;
      // The first is always begun: a batch that is given back untouched would come back like this.
      if (waiting.length < records.length && options.isLate()) {
        end = 0;
        break;
      }
      waiting.splice(at, 1);
      begin(place);
    }
    if (running.size === 0)
      return [...unfinished, ...waiting.map((place) => records[place] as KinesisRecord)];
    await Promise.race(running);
  }
}

function isHopeless(thrown: unknown): boolean {
  return isSluiceError(thrown) && !thrown.retryable && thrown.code !== 'E_ABORTED';
}
