import { Buffer } from 'node:buffer';
import { analyzeFrame, type AnalyzePorts } from '../../application/analyze/analyze.ts';
import { unpackFrame } from '../../application/frames/frame-codec.ts';
import { generationOf } from '../../application/generation.ts';
import { DomainError, isSluiceError, messageOf } from '../../domain/errors.ts';
import type { Frame, FrameHeader } from '../../domain/frame.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { Log } from '../../domain/ports/ambient.ts';
import { applyRecords } from './apply-records.ts';
import {
  kinesisRecordsOf,
  type KinesisRecord,
  type LambdaContext,
  type LambdaHandler,
  type PartialResponse,
} from './events.ts';
import { Fields } from './fields.ts';
import { createFunction, type Surroundings } from './handler.ts';
import type { Invocation, StepFields } from './invocation.ts';
import type { KeptBundles } from './kept-bundles.ts';
import { kinesisResponse } from './partial-response.ts';
import { Publisher } from './publish.ts';
import { StepTimes } from './step-times.ts';

/** What the container has; clock, log and counters are an invocation's. */
export interface AnalyzeFunctionPorts extends Omit<AnalyzePorts, 'clock' | 'log' | 'metrics'> {
  /** Data of a record, fetched where it was too large to travel. */
  readonly claims: { redeem(data: Uint8Array, signal: AbortSignal): Promise<Uint8Array> };
  readonly kept: KeptBundles;
  /** Records applied at once: connections to the result store. */
  readonly concurrency: number;
}

/** `analyze` as a function: applies the stream's records; on a schedule, publishes results. */
export function analyzeFunction(
  pipeline: AnyPipeline,
  build: string,
  surroundings: Surroundings,
  start: () => Promise<AnalyzeFunctionPorts>,
): LambdaHandler {
  const applying = new StepTimes();
  const publisher = new Publisher(pipeline);
  return createFunction({
    name: 'analyze',
    surroundings,
    start,
    handle: async (event, invocation, ports, context) => {
      const records = kinesisRecordsOf(event);
      const { clock } = surroundings;
      if (records !== null)
        return streamEvent(records, { pipeline, build, clock, applying, invocation, ports, context });
      const fields = new Fields(event, ['publish', 'pipeline']);
      fields.pipeline(pipeline);
      if (!fields.flag('publish'))
        throw new DomainError('the event is of no stream, and does not say { "publish": true }', {
          code: 'E_EVENT',
        });
      return publisher.publish({ ...ports, clock, log: invocation.log }, invocation.signal);
    },
  });
}

interface AnalyzeCall {
  readonly pipeline: AnyPipeline;
  readonly build: string;
  readonly clock: Surroundings['clock'];
  /** How long records took lately. */
  readonly applying: StepTimes;
  readonly invocation: Invocation;
  readonly ports: AnalyzeFunctionPorts;
  readonly context: LambdaContext;
}

async function streamEvent(records: readonly KinesisRecord[], call: AnalyzeCall): Promise<PartialResponse> {
  const { clock, applying, invocation, ports } = call;
  const { log } = invocation;
  const about = new Map<KinesisRecord, StepFields>();
  const unfinished = await applyRecords(
    records,
    {
      limit: ports.concurrency,
      isLate: () => clock.now() >= applying.lastStart(clock.now(), invocation.endsAt),
      onFailure: (record, thrown) =>
        log.error(
          {
            ...about.get(record),
            code: isSluiceError(thrown) ? thrown.code : undefined,
            record: record.eventID,
            partition: record.kinesis.partitionKey,
            error: thrown,
          },
          `a record comes again: ${messageOf(thrown)}`,
        ),
    },
    async (record) => {
      const lap = applying.laps(clock);
      await applyRecord(record, call, (fields) => about.set(record, fields));
      lap();
    },
  );
  if (unfinished.length > 0)
    log.info({ records: records.length, unfinished: unfinished.length }, 'some records come again');
  return kinesisResponse(unfinished);
}

async function applyRecord(
  record: KinesisRecord,
  call: AnalyzeCall,
  about: (fields: StepFields) => void,
): Promise<void> {
  const { invocation, ports } = call;
  const data = await ports.claims.redeem(Buffer.from(record.kinesis.data, 'base64'), invocation.signal);
  const frame = await unpackFrame(data);
  const fields = fieldsOf(frame.header);
  about(fields);
  await invocation.step('frame', fields, (log) => applyFrame(record, frame, call, log));
}

function fieldsOf({ run, origin }: FrameHeader): StepFields {
  if (origin.kind === 'keyed') return { run, source: origin.source };
  return origin.kind === 'redrive' ? { run, failure: origin.failure } : { run, object: origin.object.key };
}

async function applyFrame(record: KinesisRecord, frame: Frame, call: AnalyzeCall, log: Log): Promise<void> {
  const { pipeline, build, clock, invocation, ports } = call;
  const { signal, metrics } = invocation;
  const analyze = () => analyzeFrame(frame, { pipeline, build, signal }, { ...ports, clock, log, metrics });
  try {
    await analyze();
  } catch (thrown) {
    if (!isSluiceError(thrown)) throw thrown;
    const own = generationOf(pipeline, undefined);
    if (thrown.code === 'E_OTHER_BUILD') await handToItsBuild(record, frame.header, call);
    // Messages from elsewhere come without a dispatch: whoever applies the first of them makes the generation known.
    else if (thrown.code === 'E_NOT_FOUND' && frame.header.generation === own.id) {
      await ports.store.declare(own, signal);
      await analyze();
    } else throw thrown;
  }
}

async function handToItsBuild(
  record: KinesisRecord,
  { build }: FrameHeader,
  { ports, invocation, context }: AnalyzeCall,
): Promise<void> {
  if (await ports.kept.handle(build, record, context, invocation.signal)) return;
  throw new DomainError(`build ${build}, which the record belongs to, has not applied it`, {
    code: 'E_OTHER_BUILD',
    retryable: true,
  });
}
