/** The stream: takes frames, packed as records. */
export interface RecordSink {
  readonly capabilities: RecordSinkCapabilities;

  /**
   * Puts a batch. Partial success is the normal case: there is one outcome per record, in the records' order.
   * Rejects only where nothing at all is known of the batch. The data is the sink's afterwards: it may have moved away, and is
   * not there any more then. Of a record that can be tried again the outcome gives it back.
   *
   * @throws InfrastructureError the batch as a whole may or may not have been accepted; `E_INTERNAL`, not retryable and
   *   nothing accepted, where the caller gave more than `maxBatchRecords` or `maxBatchBytes` (a single record over
   *   `maxRecordBytes` is an outcome instead, and does not count there)
   */
  put(records: readonly SinkRecord[], signal: AbortSignal): Promise<readonly PutOutcome[]>;
}

export interface SinkRecord {
  /** Records of one partition keep their order as long as only one batch with them is in flight. */
  readonly partition: number;
  readonly data: Uint8Array;
  /** How often it was given up and put again: travels beside the data, so that nothing goes round for ever. Default 0. */
  readonly round?: number;
}

export type PutOutcome =
  | { readonly accepted: true }
  | {
      readonly accepted: false;
      /** `throttled`: later; `too-large`: never; `failed`: something else, see `message`. */
      readonly reason: 'throttled' | 'too-large' | 'failed';
      readonly retryable: boolean;
      readonly message: string;
      /** The record's data, where it had moved away. */
      readonly data?: Uint8Array;
    };

export interface RecordSinkCapabilities {
  /** One record's data, in bytes. */
  readonly maxRecordBytes: number;
  /** Records in one `put`. */
  readonly maxBatchRecords: number;
  /** Data in one `put`, in bytes. */
  readonly maxBatchBytes: number;
  /** Whether records of one batch and partition keep their order. */
  readonly ordered: boolean;
  /** Calls of `put` that gain by being under way at once, each with partitions of its own. Default 1. */
  readonly maxParallelPuts?: number;
}
