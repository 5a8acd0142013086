/** What is to be done, and how the pipeline cuts it. */
export interface Workload {
  /** Whether this comes every day, or once. */
  readonly per: 'day' | 'once';
  /** Objects of the lake, all of one size; rows and bytes are those of all of them together. */
  readonly objects: number;
  readonly rows: number;
  readonly bytes: number;
  readonly format: 'csv' | 'jsonl';
  /** Whether each object is told of by an event as it arrives, or all are listed by one order. */
  readonly arrival: 'events' | 'order';
  /** Messages from elsewhere, by the message queue. */
  readonly keyedMessages: number;
  /** Hours in which all of it comes, evenly. */
  readonly hours: number;
  readonly messagesPerRow: number;
  /** One message, encoded and not compressed, in bytes. */
  readonly messageBytes: number;
  /** Groups that `analyze` makes in all; messages are taken to spread evenly over them. */
  readonly groups: number;
  /** The pipeline's partitions, and whether `partitionBy` spreads messages over them. */
  readonly partitions: number;
  readonly partitioned: boolean;
  /** The pipeline's limits. */
  readonly sectionBytes: number;
  readonly maxFrameBytes: number;
  readonly maxFrameMessages: number;
  /** Whether quoted fields of CSV may hold newlines: then dispatch looks through large objects. */
  readonly multiline: boolean;
}

/** The same kind of work, so many times as much of it: as many more objects of the same size. */
export function scaled(workload: Workload, factor: number): Workload {
  const { objects, rows, bytes, keyedMessages } = workload;
  return {
    ...workload,
    objects: objects * factor,
    rows: rows * factor,
    bytes: bytes * factor,
    keyedMessages: keyedMessages * factor,
  };
}

/** Messages that are analyzed: those of rows, and those from elsewhere. */
export function messagesOf({ rows, messagesPerRow, keyedMessages }: Workload): number {
  return (rows + keyedMessages) * messagesPerRow;
}
