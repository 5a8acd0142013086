import { mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  InfrastructureError,
  type PutOutcome,
  type RecordSink,
  type RecordSinkCapabilities,
  type SinkRecord,
} from 'sluice';

const MIB = 1024 * 1024;
const NUMBER_DIGITS = 12;

/**
 * A stream that is a folder: each record is a file `partition=<n>/<number>.frame`, numbered in the order of its partition,
 * there whole or not at all. One sink writes to a folder at a time.
 */
export class FolderRecordSink implements RecordSink {
  readonly capabilities: RecordSinkCapabilities = {
    maxRecordBytes: 8 * MIB,
    maxBatchRecords: 500,
    maxBatchBytes: 16 * MIB,
    ordered: true,
  };
  readonly #folder: string;
  /** The next number of each partition that was written to. */
  readonly #next = new Map<number, number>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(folder: string) {
    this.#folder = folder;
  }

  async put(records: readonly SinkRecord[], signal: AbortSignal): Promise<readonly PutOutcome[]> {
    signal.throwIfAborted();
    this.#checkBatch(records);
    const mine = this.#turn.then(() => this.#putAll(records));
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async #putAll(records: readonly SinkRecord[]): Promise<readonly PutOutcome[]> {
    const outcomes: PutOutcome[] = [];
    const failed = new Map<number, PutOutcome>();
    for (const record of records) {
      // What follows a failed record of its partition must not overtake it.
      const outcome = this.#refusal(record) ?? failed.get(record.partition) ?? (await this.#write(record));
      if (!outcome.accepted && outcome.retryable) failed.set(record.partition, outcome);
      outcomes.push(outcome);
    }
    return outcomes;
  }

  async #write({ partition, data }: SinkRecord): Promise<PutOutcome> {
    const folder = path.join(this.#folder, `partition=${partition}`);
    try {
      const number = this.#next.get(partition) ?? (await nextNumber(folder));
      const file = path.join(folder, `${String(number).padStart(NUMBER_DIGITS, '0')}.frame`);
      await writeFile(`${file}.part`, data);
      await rename(`${file}.part`, file);
      this.#next.set(partition, number + 1);
      return { accepted: true };
    } catch (error) {
      return { accepted: false, reason: 'failed', retryable: true, message: `${folder}: ${String(error)}` };
    }
  }

  #refusal({ data }: SinkRecord): PutOutcome | undefined {
    const { maxRecordBytes } = this.capabilities;
    if (data.length <= maxRecordBytes) return undefined;
    const message = `A record of ${data.length} bytes is over ${maxRecordBytes}`;
    return { accepted: false, reason: 'too-large', retryable: false, message };
  }

  #checkBatch(records: readonly SinkRecord[]): void {
    const { maxRecordBytes, maxBatchRecords, maxBatchBytes } = this.capabilities;
    const bytes = records.reduce(
      (sum, { data }) => sum + (data.length <= maxRecordBytes ? data.length : 0),
      0,
    );
    if (records.length <= maxBatchRecords && bytes <= maxBatchBytes) return;
    throw new InfrastructureError(`${records.length} records of ${bytes} bytes are too many for one batch`, {
      code: 'E_INTERNAL',
      retryable: false,
    });
  }
}

async function nextNumber(folder: string): Promise<number> {
  await mkdir(folder, { recursive: true });
  const numbers = (await readdir(folder))
    .filter((file) => file.endsWith('.frame'))
    .map((file) => Number.parseInt(file, 10));
  return numbers.reduce((highest, number) => Math.max(highest, number), -1) + 1;
}
