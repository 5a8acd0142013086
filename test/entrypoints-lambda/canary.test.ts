import { expect, it } from 'vitest';
import { awsLog } from '../../src/adapters/aws/log.ts';
import { EmfMetrics } from '../../src/adapters/aws/metrics.ts';
import { failureNotice } from '../../src/adapters/aws/failure-message.ts';
import { count, sum } from '../../src/domain/measure.ts';
import type { AnyPipeline } from '../../src/domain/pipeline.ts';
import type { StandardSchema } from '../../src/domain/standard-schema.ts';
import type { LambdaHandler } from '../../src/entrypoints/lambda/events.ts';
import type { Surroundings } from '../../src/entrypoints/lambda/handler.ts';
import { collect } from '../../src/testing/harness.ts';
import { ARNS, jsonl, kinesisEvent, sqsEvent, testPipeline, unstopped, World } from './harness.ts';

/** What stands in every field of every row, and must not stand in what operators read. */
const CANARY = 'kanarie-7f3e91';

/** A world whose functions log everything there is as AWS's do, and trace. */
class WatchedWorld extends World {
  readonly lines: string[] = [];
  readonly traces: string[] = [];

  override get surroundings(): Surroundings {
    const { clock } = this;
    const stream = { write: (line: string) => void this.lines.push(line) };
    return {
      clock,
      log: awsLog({ level: 'debug', stream }),
      startMetrics: (requestId) => {
        const metrics = new EmfMetrics(
          { clock },
          { pipeline: 'lanes', version: 1, function: 'f', properties: { requestId }, stream },
        );
        return { metrics, flush: () => metrics.flush() };
      },
      traced: async (span, attributes, work) => {
        this.traces.push(JSON.stringify([span, attributes]));
        try {
          return await work();
        } catch (thrown) {
          this.traces.push(String(thrown), String((thrown as Error).stack));
          throw thrown;
        }
      },
    };
  }
}

/** Refuses rows as validators do: it quotes what it was given. */
const schema: StandardSchema<unknown> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (row) =>
      (row as { fails?: string }).fails === 'schema'
        ? {
            issues: [
              {
                message: `must be a number (was ${JSON.stringify((row as { note: string }).note)})`,
                path: ['note'],
              },
            ],
          }
        : { value: row },
  },
};

function pipeline(): AnyPipeline {
  const fail = (row: { fails?: string; note: string }, stage: string) => {
    if (row.fails === stage) throw new TypeError(`no good: ${row.note}`);
  };
  type Row = { fails?: string; note: string; lane: string };
  return testPipeline({
    source: { schema, where: { lane: { $ne: `filtered-${CANARY}` } } },
    transform: (row: unknown) => (fail(row as Row, 'transform'), row),
    partitionBy: (row: unknown) => (row as Row).lane,
    analyze: {
      groupBy: (row: unknown) => (fail(row as Row, 'analyze'), (row as Row).lane),
      measures: { rows: count(), delay: sum((row: unknown) => (row as { delay: never }).delay) },
      flag: (row: unknown) => ({ kind: 'seen', message: (row as Row).note }),
      findings: (group: string) => {
        throw new RangeError(`no findings for ${group}`);
      },
    },
  });
}

const note = `${CANARY}\n{"level":"error","msg":"${CANARY}"}`;
const ROWS = [
  { lane: CANARY, note, [CANARY]: CANARY, delay: 1 },
  ...['schema', 'transform', 'analyze'].map((fails) => ({ lane: CANARY, note, delay: 1, fails })),
  { lane: CANARY, note, delay: CANARY },
  { lane: `filtered-${CANARY}`, note, delay: 1 },
  { lane: CANARY, note, delay: () => 1, deep: { [`$${CANARY}`]: CANARY } },
];

/** What it answers or throws, as text. */
async function told(handler: LambdaHandler, event: unknown, world: World): Promise<string> {
  try {
    return JSON.stringify(await handler(event, world.context())) ?? '';
  } catch (thrown) {
    return `${String(thrown)} ${(thrown as Error).stack} ${String((thrown as Error).cause)}`;
  }
}

it('what stands in rows stands in no log, metric, trace or error text, whatever fails', async () => {
  const world = new WatchedWorld(pipeline());
  const texts: string[] = [];
  const call = async (handler: LambdaHandler, event: unknown) =>
    texts.push(await told(handler, event, world));
  const damaged = `{"lane":"${CANARY}",\n[]\n"${CANARY}"\n`;
  world.lake.put({ bucket: 'lake', key: 'rows.jsonl' }, jsonl(ROWS) + damaged);
  world.lake.put({ bucket: 'lake', key: 'headless.csv' }, `${CANARY},"${CANARY}\n${CANARY},1\n`);
  await call(world.dispatch(), { prefix: 's3://lake/', run: 'run-1' });
  const tasks = await world.takeTasks();
  await call(world.transform(), sqsEvent(ARNS.tasks, [...tasks, damaged, `{"id":"${CANARY}"}`]));
  await call(world.transform(), sqsEvent(ARNS.messages, [...ROWS, damaged]));
  await call(world.transform(), kinesisEvent(ARNS.elsewhere, [raw(damaged), raw(JSON.stringify(ROWS[1]))]));
  await call(world.transform(), { canary: CANARY });
  const records = world.records().map((record, index) => ({ ...record, sequenceNumber: String(1 + index) }));
  await call(
    world.analyze(),
    kinesisEvent(ARNS.stream, [raw(`SLF1${damaged}`), ...records.map((record) => ({ ...record }))]),
  );
  await call(world.analyze(), kinesisEvent(ARNS.stream, records));
  await call(world.analyze(), { publish: true });
  await call(world.dispatch(), sqsEvent(ARNS.dispatch, [damaged]));
  await call(
    world.reprocess(),
    sqsEvent(ARNS.failures, [damaged, `{"failure":"${CANARY}","kind":"${CANARY}"}`]),
  );
  await call(world.reprocess(), { stage: 'transform' });
  const logged = world.lines.join('');

  // It was all there to be told: rows have failed in every stage, and the failures keep them.
  const failures = await collect(world.store.failures({}, unstopped));
  const stages = new Set(failures.map(({ failure }) => failure.stage));
  expect(stages).toEqual(new Set(['open', 'read', 'transform', 'analyze']));
  expect(failures.some(({ failure }) => Buffer.from(failure.payload ?? []).includes(CANARY))).toBe(true);
  expect(logged).toContain('findings threw for some groups');
  expect(logged).toContain('E_FRAME_CORRUPT');
  expect(logged).toContain('framesApplied');

  expect(logged).not.toContain(CANARY);
  expect(world.traces.join('\n')).not.toContain(CANARY);
  expect(texts.join('\n')).not.toContain(CANARY);
  // One line is one JSON object, whatever a text holds.
  for (const line of world.lines) {
    expect(line.endsWith('\n')).toBe(true);
    expect(line.slice(0, -1)).not.toMatch(/[\r\n]/);
    expect(JSON.parse(line)).toBeTypeOf('object');
  }
  // Our own texts of failures do not have it either; what the pipeline throws is its own, and stays with the payload.
  for (const { failure, generation, run } of failures) {
    if (failure.code === 'E_TRANSFORM' || failure.code === 'E_ANALYZE') continue;
    expect(failure.message, failure.code).not.toContain(CANARY);
    const routed = {
      generation,
      run,
      pipeline: 'lanes',
      version: 1,
      build: 'b',
      route: 'ledger',
      at: 0,
      failure,
    } as const;
    if (failure.position.kind === 'row') expect(failureNotice(routed).body).not.toContain(CANARY);
  }
});

function raw(text: string) {
  return { partition: 1, sequenceNumber: '1', data: Buffer.from(text), arrivedAt: Date.UTC(2026, 10, 23, 8) };
}
