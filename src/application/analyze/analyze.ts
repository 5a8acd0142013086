import { describePosition, type Position } from '../../domain/position.ts';
import type { Failure } from '../../domain/failure.ts';
import { DomainError } from '../../domain/errors.ts';
import type {
  Frame,
  FrameHeader,
  KeyedBody,
  KeyedEntry,
  KeyedOrigin,
  RedriveBody,
  RedriveOrigin,
  SectionOrigin,
} from '../../domain/frame.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { Clock, Log, Metrics } from '../../domain/ports/ambient.ts';
import type { ErrorRouter } from '../../domain/ports/error-router.ts';
import type {
  ApplyOutcome,
  Effects,
  ResultStore,
  RowTotals,
  SectionFrameRef,
} from '../../domain/ports/result-store.ts';
import type { Reach } from '../../domain/reach.ts';
import { routeOf } from '../../domain/routing.ts';
import { failureOf } from '../failures/describe-failure.ts';
import { unpackFrame } from '../frames/frame-codec.ts';
import { EffectsFold, noEffects } from './effects.ts';
import { effectsOfMessages, requireBuild, type SectionEffects } from './work-out.ts';

export interface AnalyzePorts {
  readonly store: ResultStore;
  readonly router: ErrorRouter;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface AnalyzeContext {
  readonly pipeline: AnyPipeline;
  /** Of the code that runs: a frame of another one is its business. */
  readonly build: string;
  readonly signal: AbortSignal;
}

/**
 * Applies one record of the stream. Returns when it is applied, or was before.
 *
 * @throws DomainError `E_OTHER_BUILD`: the frame belongs to another build and must be kept
 * @throws InfrastructureError `E_FRAME_CORRUPT`: the record is no frame and never will be
 * @throws InfrastructureError the record can be tried again
 */
export async function analyzeRecord(
  record: Uint8Array,
  context: AnalyzeContext,
  ports: AnalyzePorts,
): Promise<void> {
  return analyzeFrame(await unpackFrame(record), context, ports);
}

/** Applies a frame, as `analyzeRecord` does a record that it was unpacked from. */
export async function analyzeFrame(
  frame: Frame,
  context: AnalyzeContext,
  ports: AnalyzePorts,
): Promise<void> {
  const { header, body } = frame;
  requireBuild(header, context.build);
  switch (body.kind) {
    case 'messages':
      return applySectionEffects(
        { header, effects: effectsOfMessages(header, body, context.pipeline) },
        context,
        ports,
      );
    case 'failures':
      return header.origin.kind === 'object'
        ? openObjectFailures(header, body.failures, context, ports)
        : applyEffects(
            header,
            header.origin as SectionOrigin,
            { ...noEffects, failures: body.failures },
            context,
            ports,
          );
    case 'section':
      return applySectionRecord(frame, context, ports);
    case 'keyed':
      return applyKeyed(header, header.origin as KeyedOrigin, body, context, ports);
    case 'redrive':
      return applyRedrive(header, header.origin as RedriveOrigin, body, context, ports);
  }
}

/** Applies what a frame does that was worked out elsewhere, as `analyzeFrame` does the frame itself. */
export async function applySectionEffects(
  { header, effects }: SectionEffects,
  context: AnalyzeContext,
  ports: AnalyzePorts,
): Promise<void> {
  await applyEffects(header, header.origin as SectionOrigin, effects, context, ports);
}

async function applyEffects(
  header: FrameHeader,
  origin: SectionOrigin,
  effects: Effects,
  context: AnalyzeContext,
  ports: AnalyzePorts,
): Promise<void> {
  // The copies first: a crash in between leaves a copy too many, which is dropped by its id, and never one too few.
  await routeFailures(effects.failures, header, context, ports);
  const outcome = await ports.store.applyFrame(
    frameRef(header, origin, ports.clock.now()),
    effects,
    context.signal,
  );
  ports.metrics.add('framesApplied', outcome === 'applied' ? 1 : 0);
  if (outcome === 'applied') countApplied(effects, ports.metrics);
  await settle(outcome, header, origin, context, ports);
}

async function applySectionRecord(
  { header, body }: Frame,
  context: AnalyzeContext,
  ports: AnalyzePorts,
): Promise<void> {
  if (body.kind !== 'section') return;
  const origin = header.origin as SectionOrigin;
  const { generation, run, build, digest } = header;
  const ref = {
    generation,
    run,
    build,
    object: origin.object,
    epoch: origin.epoch,
    record: body.record,
    digest,
    ...reachOf(origin),
  };
  const outcome = await ports.store.applySectionRecord(ref, context.signal);
  if (outcome === 'applied') {
    ports.metrics.add('framesApplied', 1);
    ports.metrics.add('sectionsComplete', 1);
  }
  await settle(outcome, header, origin, context, ports);
}

function frameRef(header: FrameHeader, origin: SectionOrigin, at: number): SectionFrameRef {
  const { generation, run, build, partition, digest } = header;
  return { generation, run, build, partition, digest, at, ...pick(origin), ...reachOf(origin) };
}

function reachOf({ reach, killed = [] }: SectionOrigin): Reach {
  return { reach, killed };
}

function pick({
  object,
  epoch,
  section,
  number,
}: SectionOrigin): Pick<SectionOrigin, 'object' | 'epoch' | 'section' | 'number'> {
  return { object, epoch, section, number };
}

async function settle(
  outcome: ApplyOutcome,
  header: FrameHeader,
  origin: SectionOrigin,
  context: AnalyzeContext,
  ports: AnalyzePorts,
): Promise<void> {
  if (outcome === 'duplicate') ports.metrics.add('duplicates', 1);
  if (outcome === 'stale') {
    ports.metrics.add('stale', 1);
    ports.log.warn(
      { object: origin.object.key, section: origin.section, epoch: origin.epoch },
      'dropped a frame of an older epoch, or of a try from before a verdict on a row',
    );
  }
  if (outcome !== 'not-deterministic') return;
  const position: Position = { kind: 'row', object: origin.object, coordinate: null, output: null };
  const error = new DomainError(
    `section ${origin.section} of ${describePosition(position)} gave other messages when it was read again${ofKilled(origin)}`,
    { code: 'E_NOT_DETERMINISTIC' },
  );
  const failure = failureOf(header.generation, position, 'transform', error, error.code, null, 0);
  ports.log.error({ code: error.code, object: origin.object.key, section: origin.section }, error.message);
  await openObjectFailures(header, [failure], context, ports);
}

/** A row that is transformed in one try and ends the process in another one is the likeliest reason where there is one. */
function ofKilled({ killed = [] }: SectionOrigin): string {
  if (killed.length === 0) return '';
  return `: it has rows that hung a process or ended it (at ${killed.join(', ')}), and they may have been transformed before`;
}

async function openObjectFailures(
  header: FrameHeader,
  failures: readonly Failure[],
  context: AnalyzeContext,
  ports: AnalyzePorts,
): Promise<void> {
  await routeFailures(failures, header, context, ports);
  await ports.store.openFailures(header.generation, header.run, failures, ports.clock.now(), context.signal);
  ports.metrics.add('failuresOpened', failures.length);
}

async function applyKeyed(
  header: FrameHeader,
  origin: KeyedOrigin,
  body: KeyedBody,
  context: AnalyzeContext,
  ports: AnalyzePorts,
): Promise<void> {
  const { generation, run, build } = header;
  const at = ports.clock.now();
  const keys = body.entries.map((entry) => entry.key);
  const fold = (isNew: readonly boolean[]) => foldKeyed(header, origin, body, isNew, at, context.pipeline);
  // Which entries are new is only known inside the store's transaction; all of them are the upper bound of the copies.
  await routeFailures(fold(keys.map(() => true)).effects.failures, header, context, ports);
  const outcome = await ports.store.applyKeyed(
    { generation, run, build, source: origin.source, keys, at, fold },
    context.signal,
  );
  const fresh = outcome.isNew.filter(Boolean).length;
  ports.metrics.add('duplicates', keys.length - fresh);
  if (fresh > 0) ports.metrics.add('framesApplied', 1);
  countApplied(outcome.effects, ports.metrics);
}

function foldKeyed(
  header: FrameHeader,
  origin: KeyedOrigin,
  body: KeyedBody,
  isNew: readonly boolean[],
  at: number,
  pipeline: AnyPipeline,
): { effects: Effects; totals: RowTotals } {
  const fold = new EffectsFold(pipeline, header.generation);
  let rows = 0;
  let filtered = 0;
  let failed = 0;
  let messages = 0;
  for (const [index, entry] of body.entries.entries()) {
    if (isNew[index] !== true) continue;
    rows++;
    const failure = entry.failure ?? beyondHorizon(header, origin, entry, at, pipeline);
    if (failure !== null) {
      failed++;
      fold.addFailure(failure);
      continue;
    }
    if (entry.filtered) filtered++;
    messages += entry.messages.length;
    const positionOf = (output: number): Position => ({
      kind: 'key',
      source: origin.source,
      key: entry.key,
      output,
    });
    for (const [output, message] of entry.messages.entries()) fold.add(message, output, positionOf);
  }
  const totals = { rows, pruned: 0, filtered, failed, transformed: rows - filtered - failed, messages };
  return { effects: fold.finish(), totals };
}

/** What is older than the keys are kept may have been applied before: nobody can tell any more. */
function beyondHorizon(
  header: FrameHeader,
  { source }: KeyedOrigin,
  { key, time }: KeyedEntry,
  at: number,
  { limits: { keyHorizonMs } }: AnyPipeline,
): Failure | null {
  if (time === null || time >= at - keyHorizonMs) return null;
  const position: Position = { kind: 'key', source, key, output: null };
  const error = new DomainError(
    `the message is of ${new Date(time).toISOString()}, more than ${keyHorizonMs} ms before it is applied`,
    { code: 'E_BEYOND_HORIZON' },
  );
  return failureOf(header.generation, position, 'analyze', error, error.code, null, 1);
}

/** All messages of a redrive apply, or none: a row that is half settled could not be tried again. */
async function applyRedrive(
  header: FrameHeader,
  origin: RedriveOrigin,
  body: RedriveBody,
  context: AnalyzeContext,
  ports: AnalyzePorts,
): Promise<void> {
  const { generation, run, build } = header;
  const fold = new EffectsFold(context.pipeline, generation);
  const positionOf = (index: number): Position => ({
    ...body.position,
    output: body.outputs[index] as number,
  });
  for (const [index, message] of body.messages.entries()) fold.add(message, index, positionOf);
  const effects = fold.finish();
  const failed = body.failure ?? effects.failures[0];
  // The failure of one message of a row goes on standing for the whole row: the next redrive needs all of them.
  const again = failed === undefined ? null : { ...failed, id: origin.failure, payload: body.payload };
  if (again !== null) await routeFailures([again], header, context, ports);
  const redrive = {
    generation,
    run,
    build,
    failure: origin.failure,
    again,
    messages: body.messages.length,
    at: ports.clock.now(),
  };
  const outcome = await ports.store.applyRedrive(
    redrive,
    again === null ? effects : noEffects,
    context.signal,
  );
  if (outcome === 'closed') ports.metrics.add('duplicates', 1);
  if (outcome === 'applied') {
    ports.metrics.add('failuresClosed', 1);
    countApplied(effects, ports.metrics);
  }
}

function countApplied(effects: Effects, metrics: Metrics): void {
  metrics.add('applied', effects.applied);
  metrics.add('failuresOpened', effects.failures.length);
}

async function routeFailures(
  failures: readonly Failure[],
  header: FrameHeader,
  context: AnalyzeContext,
  ports: AnalyzePorts,
): Promise<void> {
  if (failures.length === 0) return;
  const { generation, run, build } = header;
  const { name, version } = context.pipeline;
  const at = ports.clock.now();
  await ports.router.route(
    failures.map((failure) => ({
      generation,
      pipeline: name,
      version,
      run,
      build,
      failure,
      route: routeOf(failure),
      at,
    })),
    context.signal,
  );
}
