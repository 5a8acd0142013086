import type { PutOutcome, RecordSink, SinkRecord } from '../../src/domain/ports/record-sink.ts';

/** Takes everything, and keeps it where that is wanted. */
export class CollectingSink implements RecordSink {
  readonly capabilities = {
    maxRecordBytes: 2 ** 20,
    maxBatchRecords: 500,
    maxBatchBytes: 10 * 2 ** 20,
    ordered: true,
  };
  readonly records: Uint8Array[] = [];
  readonly #keeps: boolean;
  puts = 0;

  constructor(keeps: boolean) {
    this.#keeps = keeps;
  }

  put(records: readonly SinkRecord[]): Promise<readonly PutOutcome[]> {
    this.puts++;
    if (this.#keeps) this.records.push(...records.map(({ data }) => data));
    return Promise.resolve(records.map(() => ({ accepted: true })));
  }
}
