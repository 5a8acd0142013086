import { lastTextSection } from '../../../domain/section.ts';
import type { Rates } from './rates.ts';
import type { Workload } from './workload.ts';

/** How dispatch and transform go about one object: a copy in arithmetic of what they do, which test/servers/e2e/estimate.test.ts counts. */
export interface ObjectShape {
  readonly sections: number;
  readonly tasks: number;
  /** Frames of messages; each section has a record besides. */
  readonly frames: number;
  readonly putRequests: number;
  /** Groups that the frames change, each counted for every frame. */
  readonly groupChanges: number;
  /** Bytes of one frame of messages in the stream, on average. */
  readonly bytesPerFrame: number;
  /** Reads by transform, and by dispatch, where it has to open the object. */
  readonly transformReads: number;
  readonly dispatchReads: number;
  /** Bytes that dispatch looks through for where tasks begin. */
  readonly searchedBytes: number;
  /** Tasks that are sent one by one, as their beginnings are found; the others of several objects go together. */
  readonly singleSends: number;
  /** Whether dispatch opens it: the others are planned by the hundred. */
  readonly opened: boolean;
}

const MIB = 1024 * 1024;
/** As `ObjectDispatcher` has it: up to here an object is one task and is not opened. */
const UNOPENED_BYTES = MIB;
const SECTIONS_PER_TASK = 4;
/** As `cacheHead`, `plainText` and `S3ObjectSource` have it. */
const HEAD_BYTES = 64 * 1024;
const OVERRUN_BYTES = 64 * 1024;
const PART_BYTES = 8 * MIB;
/** As `FrameSender` and Kinesis have it. */
const SHARED_FROM_BYTES = MIB;
const PARALLEL_PUTS = 4;
const REQUEST_RECORDS = 500;

export function shapeOf(workload: Workload, rates: Rates): ObjectShape {
  const { sectionBytes } = workload;
  const bytes = Math.max(1, Math.round(workload.bytes / Math.max(workload.objects, Number.MIN_VALUE)));
  const rows = workload.objects === 0 ? 0 : workload.rows / workload.objects;
  const sections = lastTextSection(bytes, sectionBytes) + 1;
  const opened = bytes > Math.min(UNOPENED_BYTES, sectionBytes);
  const tasks = opened ? Math.ceil(sections / SECTIONS_PER_TASK) : 1;
  const full = sectionShape(workload, rates, (rows * sectionBytes) / bytes);
  const last = sectionShape(workload, rates, rows * (1 - ((sections - 1) * sectionBytes) / bytes));
  const all = (of: (section: SectionShape) => number) => (sections - 1) * of(full) + of(last);
  const frames = all((section) => section.frames);
  const lastBoundary = (tasks - 1) * SECTIONS_PER_TASK * sectionBytes;
  const looksThrough = workload.format === 'csv' && workload.multiline;
  const searchReads =
    tasks === 1 ? 0 : looksThrough ? readsBetween(HEAD_BYTES, lastBoundary + OVERRUN_BYTES) : tasks - 1;
  let transformReads = 0;
  for (let task = 0; task < tasks; task++) {
    const from = Math.max(HEAD_BYTES, task * SECTIONS_PER_TASK * sectionBytes);
    const to = Math.min(bytes, (task + 1) * SECTIONS_PER_TASK * sectionBytes + OVERRUN_BYTES);
    transformReads += 1 + readsBetween(from, to);
  }
  return {
    sections,
    tasks,
    frames,
    putRequests: all((section) => section.putRequests),
    groupChanges: all((section) => section.groupChanges),
    bytesPerFrame:
      frames === 0
        ? 0
        : rates.frameBytes +
          (rows * workload.messagesPerRow * workload.messageBytes * rates.packedShare) / frames,
    transformReads,
    dispatchReads: opened ? 1 + searchReads : 0,
    searchedBytes: looksThrough ? lastBoundary : 0,
    singleSends: tasks - 1,
    opened,
  };
}

interface SectionShape {
  readonly frames: number;
  readonly putRequests: number;
  readonly groupChanges: number;
}

function sectionShape(workload: Workload, rates: Rates, rows: number): SectionShape {
  const { messageBytes, maxFrameBytes, maxFrameMessages, messagesPerRow } = workload;
  const messages = rows * messagesPerRow;
  const record = { frames: 0, putRequests: 1, groupChanges: 0 };
  if (messages <= 0) return record;
  const perFrame = Math.max(1, Math.min(maxFrameMessages, Math.floor(maxFrameBytes / messageBytes)));
  const { lanes, groupsPerLane } = spread(workload, messages);
  const perLane = messages / lanes;
  const framesPerLane = Math.ceil(perLane / perFrame - 1e-9);
  const frames = lanes * framesPerLane;
  // What is full goes as it comes; the last frame of every partition goes at the end, shared out over a few requests.
  const early = lanes * (framesPerLane - 1);
  const tailBytes =
    lanes *
    (rates.frameBytes + (perLane - (framesPerLane - 1) * perFrame) * messageBytes * rates.packedShare);
  const tails = Math.max(
    Math.ceil(lanes / REQUEST_RECORDS),
    Math.min(PARALLEL_PUTS, Math.ceil(tailBytes / SHARED_FROM_BYTES)),
  );
  return {
    frames,
    putRequests: early + tails + record.putRequests,
    groupChanges: frames * distinct(groupsPerLane, perLane / framesPerLane),
  };
}

/** Over how many partitions messages spread, and how many groups each of these has. */
function spread(
  { partitions, partitioned, groups }: Workload,
  messages: number,
): { readonly lanes: number; readonly groupsPerLane: number } {
  if (!partitioned) return { lanes: 1, groupsPerLane: groups };
  const lanes = Math.max(1, distinct(partitions, distinct(groups, messages)));
  return { lanes, groupsPerLane: Math.max(1, groups / partitions) };
}

/** How many different ones of so many there are among so many picked at random. */
export function distinct(of: number, picked: number): number {
  return of <= 1 ? Math.min(of, picked) : -of * Math.expm1(picked * Math.log1p(-1 / of));
}

function readsBetween(from: number, to: number): number {
  return to <= from ? 0 : Math.ceil((to - from) / PART_BYTES);
}
