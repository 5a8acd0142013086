import fc from 'fast-check';
import { DomainError } from '../../src/domain/errors.ts';
import type { Limits } from '../../src/domain/limits.ts';
import { count, distinct, max, quantiles, sum } from '../../src/domain/measure.ts';
import { definePipeline, type AnyPipeline, type FrameCodec } from '../../src/domain/pipeline.ts';
import { columns, SKIPPED } from './lakes.ts';

export interface LakeMessage {
  readonly id: number;
  readonly lane: string;
  readonly output: number;
  readonly value: number;
  readonly hurt: boolean;
  readonly flagged: boolean;
}

export interface Settings {
  readonly limits: Pick<Limits, 'sectionBytes' | 'maxFrameMessages' | 'maxFrameBytes'>;
  readonly partitions: number;
  readonly partitioned: boolean;
  readonly frames: FrameCodec;
}

/** Small limits, so that small objects have many sections and sections many frames. */
export const settings: fc.Arbitrary<Settings> = fc.record({
  limits: fc.record({
    sectionBytes: fc.constantFrom(150, 400, 1_000, 100_000),
    maxFrameMessages: fc.constantFrom(1, 3, 1_000),
    maxFrameBytes: fc.constantFrom(150, 1_000, 10_000),
  }),
  partitions: fc.integer({ min: 1, max: 5 }),
  partitioned: fc.boolean(),
  frames: fc.constantFrom<FrameCodec>('packed', 'json'),
});

export const MAX_MESSAGE_BYTES = 500;

/** What of the pipeline's code is mended: then it takes what it failed at before. */
export interface Mended {
  readonly transform: boolean;
  readonly analyze: boolean;
}

export const broken: Mended = { transform: false, analyze: false };
export const mended: Mended = { transform: true, analyze: true };

type Columns = {
  readonly id: number;
  readonly lane: string;
  readonly fan: number;
  readonly fate: string;
  readonly hurt: number;
  readonly flag: number;
  readonly value: number;
};

/** Does with each row what is written in it. */
export function lakePipeline(
  { limits, partitions, partitioned, frames }: Settings,
  { transform, analyze }: Mended,
  /** Called with every row that `transform` gets. */
  onRow: (row: Columns) => void = () => undefined,
): AnyPipeline {
  return definePipeline({
    name: 'lake',
    version: 1,
    source: { columns, where: { lane: { $ne: SKIPPED } }, id: (row) => row['id'] as number },
    transform: (row) => {
      const { id, lane, fan, fate, hurt, flag, value } = row as unknown as Columns;
      onRow(row as unknown as Columns);
      if (!transform && fate === 'throws') throw new TypeError(`cannot take ${id}`);
      if (!transform && fate === 'rejects') throw new DomainError(`no lane for ${id}`, { code: 'E_NO_LANE' });
      const messages: LakeMessage[] = [];
      for (let output = 0; output < fan; output++)
        messages.push({ id, lane, output, value, hurt: hurt === output, flagged: flag === output });
      // The last of them: those before it must not get through alone.
      const last = messages.at(-1);
      if (!transform && last !== undefined) Object.assign(last, spoilt(fate));
      return messages;
    },
    ...(partitioned
      ? {
          partitionBy: (message: LakeMessage & { nowhere?: true }) =>
            message.nowhere === true ? (undefined as never) : message.lane,
        }
      : {}),
    analyze: {
      groupBy: (message: LakeMessage) => message.lane,
      measures: {
        messages: count(),
        value: sum((message: LakeMessage) => message.value),
        highest: max((message: LakeMessage) => message.value),
        ids: distinct((message: LakeMessage) => message.id),
        spread: quantiles((message: LakeMessage) => {
          if (!analyze && message.hurt) throw new RangeError(`cannot measure ${message.id}`);
          return message.value;
        }),
      },
      flag: (message: LakeMessage) =>
        message.flagged
          ? { kind: 'flagged', message: `message ${message.id}`, details: { output: message.output } }
          : null,
    },
    partitions,
    frames,
    limits: { ...limits, maxMessageBytes: MAX_MESSAGE_BYTES },
  }) as AnyPipeline;
}

function spoilt(fate: string): object {
  if (fate === 'unsendable') return { call: () => 1 };
  if (fate === 'large') return { text: 'z'.repeat(MAX_MESSAGE_BYTES) };
  if (fate === 'nowhere') return { nowhere: true };
  return {};
}

/** The same messages in another order: the same answers, other frames. */
export function backwards(pipeline: AnyPipeline): AnyPipeline {
  return {
    ...pipeline,
    transform: (row) => (pipeline.transform(row) as readonly unknown[]).toReversed(),
  };
}
