import { expect, it } from 'vitest';
import { InfrastructureError } from '../../src/domain/errors.ts';
import type { Task } from '../../src/domain/section.ts';
import { currentOwner } from '../../src/entrypoints/lambda/owners.ts';
import { ARNS, failedItems, jsonl, kinesisEvent, sqsEvent, testPipeline, World } from './harness.ts';

const rows = [{ lane: 'A', delay: 1 }];

async function planned(): Promise<{ world: World; body: string; task: Task }> {
  const world = new World();
  world.lake.put({ bucket: 'lake', key: 'a.jsonl' }, jsonl(rows));
  await world.dispatch()({ prefix: 's3://lake/', run: 'run-1' }, world.context());
  const [body] = (await world.takeTasks()) as [string];
  return { world, body, task: JSON.parse(body) as Task };
}

const messagesOf = () =>
  new World(
    testPipeline({ source: { format: 'jsonl', id: (row: Record<string, unknown>) => row['id'] } as never }),
  );

it('orders, tasks, frames and messages have spans of their own', async () => {
  const { world, body, task } = await planned();
  await world.transform()(sqsEvent(ARNS.tasks, [body]), world.context());
  const frames = world.records().length;
  await world.analyze()(kinesisEvent(ARNS.stream, world.records()), world.context());
  const object = { 'sluice.run': 'run-1', 'sluice.object': 'a.jsonl' };
  const invocation = { 'faas.invocation_id': expect.any(String) as string };
  expect(world.spans).toEqual([
    { name: 'sluice.dispatch', attributes: invocation },
    { name: 'sluice.order', attributes: { 'sluice.run': 'run-1' } },
    { name: 'sluice.transform', attributes: invocation },
    { name: 'sluice.task', attributes: { ...object, 'sluice.task': task.id } },
    { name: 'sluice.analyze', attributes: invocation },
    ...Array.from({ length: frames }, () => ({ name: 'sluice.frame', attributes: object })),
  ]);
  const elsewhere = messagesOf();
  const event = sqsEvent(ARNS.messages, [{ id: 'a', lane: 'A', delay: 1 }]);
  await elsewhere.transform()(event, elsewhere.context());
  expect(elsewhere.spans.at(-1)).toEqual({
    name: 'sluice.messages',
    attributes: { 'sluice.run': 'lanes@1-messages-messages-2026-11-23', 'sluice.source': 'messages' },
  });
});

it('what adapters log says which request, run and task it is of', async () => {
  const { world, body, task } = await planned();
  const { source } = world;
  const talking: typeof source = {
    ...source,
    read: (object, range, signal) => {
      currentOwner()?.log.warn({}, 'read');
      return source.read(object, range, signal);
    },
  };
  const context = world.context();
  await world.transform({ source: talking })(sqsEvent(ARNS.tasks, [body]), context);
  const said = world.log.lines.filter(({ message }) => message === 'read');
  expect(said.length).toBeGreaterThan(0);
  for (const { fields } of said) {
    expect(fields).toEqual({
      requestId: context.awsRequestId,
      run: 'run-1',
      task: task.id,
      object: 'a.jsonl',
    });
  }
});

it('what comes again is told with its run, and its task', async () => {
  const { world, body, task } = await planned();
  const away = () => Promise.reject(new InfrastructureError('away', { retryable: false }));
  const sink = { capabilities: world.stream.capabilities, put: away };
  const event = sqsEvent(ARNS.tasks, [body]);
  expect(failedItems(await world.transform({ sink: sink as never })(event, world.context()))).toHaveLength(1);
  expect(world.log.lines.at(-1)).toMatchObject({
    message: 'a message comes again: away',
    fields: { run: 'run-1', task: task.id },
  });
  await world.transform()(event, world.context());
  const store = new Proxy(world.store, {
    get: (target, name) => (name === 'applyFrame' ? away : (Reflect.get(target, name, target) as unknown)),
  });
  await world.analyze({ store })(kinesisEvent(ARNS.stream, world.records()), world.context());
  const told = world.log.lines.filter(({ message }) => message === 'a record comes again: away');
  expect(told.length).toBeGreaterThan(0);
  for (const { fields } of told) expect(fields).toMatchObject({ run: 'run-1', object: 'a.jsonl' });
});
