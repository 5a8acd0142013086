import { describe, expect, it } from 'vitest';
import { generationOf } from '../../src/application/generation.ts';
import { collect } from '../../src/testing/harness.ts';
import {
  ARNS,
  failedItems,
  jsonl,
  objectCreated,
  s3Notification,
  sqsEvent,
  unstopped,
  World,
} from './harness.ts';

const rows = [
  { lane: 'A', delay: 1 },
  { lane: 'B', delay: 2 },
];

/** A queue that takes a while for each task. */
function slowTasks({ dispatchPorts: { tasks }, clock }: World, ms: number): typeof tasks {
  return new Proxy(tasks, {
    get: (target, name) =>
      name === 'send'
        ? async (...all: Parameters<typeof target.send>) => {
            await target.send(...all);
            await clock.advance(ms * all[0].length);
          }
        : (Reflect.get(target, name, target) as unknown),
  });
}

function newWorld(keys: readonly string[] = ['day=1/a.jsonl']): World {
  const world = new World();
  for (const key of keys) world.lake.put({ bucket: 'lake', key }, jsonl(rows));
  return world;
}

async function plannedKeys({ store, pipeline }: World): Promise<readonly string[]> {
  const generation = generationOf(pipeline, undefined).id;
  return (await collect(store.objects({ generation }, unstopped))).map(({ object }) => object.key);
}

describe('new objects', () => {
  it('come from EventBridge, with their keys as they are', async () => {
    const world = newWorld(['a+b %41.jsonl']);
    const reply = await world.dispatch()(
      sqsEvent(ARNS.dispatch, [objectCreated('lake', 'a+b %41.jsonl')]),
      world.context(),
    );
    expect(failedItems(reply)).toEqual([]);
    expect(await plannedKeys(world)).toEqual(['a+b %41.jsonl']);
    expect(await world.takeTasks()).toHaveLength(1);
  });

  it('come from notifications of S3, with their keys decoded', async () => {
    const keys = ['a b+c.jsonl', 'ü/line\nend.jsonl', 'up../a.jsonl'];
    const world = newWorld(keys);
    const event = s3Notification('lake', 'a+b%2Bc.jsonl', '%C3%BC/line%0Aend.jsonl', 'up..%2Fa.jsonl');
    expect(failedItems(await world.dispatch()(sqsEvent(ARNS.dispatch, [event]), world.context()))).toEqual(
      [],
    );
    expect((await plannedKeys(world)).toSorted()).toEqual(keys.toSorted());
  });

  it('come without a queue, too', async () => {
    const world = newWorld();
    await world.dispatch()(objectCreated('lake', 'day=1/a.jsonl'), world.context());
    await world.dispatch()(s3Notification('lake', 'day%3D1/a.jsonl'), world.context());
    expect(await plannedKeys(world)).toEqual(['day=1/a.jsonl']);
  });

  it('are one run a day, however many come', async () => {
    const world = newWorld(['a.jsonl', 'b.jsonl', 'c.jsonl']);
    const dispatch = world.dispatch();
    for (const key of ['a.jsonl', 'b.jsonl']) await dispatch(objectCreated('lake', key), world.context());
    await world.clock.advance(24 * 60 * 60 * 1000);
    await dispatch(objectCreated('lake', 'c.jsonl'), world.context());
    expect((await world.store.runs(unstopped)).map(({ id }) => id)).toEqual([
      'lanes@1-arrivals-2026-11-23',
      'lanes@1-arrivals-2026-11-24',
    ]);
  });

  it('are named exactly: neither a pattern nor a folder is made of a key', async () => {
    const world = newWorld(['data/a.jsonl', 'day=*/b.jsonl', 'day=1/b.jsonl', 'x{1,2}[3]?.jsonl']);
    const { source } = world;
    const listed: string[] = [];
    // As S3 reads places: `*` is a pattern, and what is no object may be a folder.
    const list: typeof source.list = (location, signal, after) => {
      listed.push(location);
      return source.list(location, signal, after);
    };
    const events = ['data', 'data/', 'day=*/b.jsonl', 'x{1,2}[3]?.jsonl'].map((key) =>
      objectCreated('lake', key),
    );
    const reply = await world.dispatch({ source: { ...source, list } })(
      sqsEvent(ARNS.dispatch, events),
      world.context(),
    );
    expect(failedItems(reply)).toEqual([]);
    expect(listed).toEqual([]);
    expect((await plannedKeys(world)).toSorted()).toEqual(['day=*/b.jsonl', 'x{1,2}[3]?.jsonl']);
  });

  it.each([
    ['the test of S3', { Service: 'Amazon S3', Event: 's3:TestEvent', Bucket: 'lake' }],
    ['a removal, by EventBridge', { source: 'aws.s3', 'detail-type': 'Object Deleted', detail: {} }],
    [
      'a removal, by S3',
      {
        Records: [
          {
            eventSource: 'aws:s3',
            eventName: 'ObjectRemoved:Delete',
            s3: { bucket: { name: 'lake' }, object: { key: 'a' } },
          },
        ],
      },
    ],
    ['a folder', objectCreated('lake', 'day=1/')],
    ['an object that is gone again', objectCreated('lake', 'gone.jsonl')],
  ])('are not in %s, and it is done', async (_what, event) => {
    const world = newWorld();
    const reply = await world.dispatch()(sqsEvent(ARNS.dispatch, [event]), world.context());
    expect(failedItems(reply)).toEqual([]);
    expect(await plannedKeys(world)).toEqual([]);
  });
});

it('what a listing hides is no new object, and what it shows is one', async () => {
  const shown = ['day=1/a.jsonl', '_days/day=2/b.jsonl'];
  const hidden = [
    'day=1/_temporary/0/part-0.jsonl',
    'day=1/_SUCCESS',
    'day=1/.part-0.jsonl.crc',
    '.staging/a.jsonl',
    '_other/a.jsonl',
    '_days/_temporary/b.jsonl',
    'day=1_$folder$',
    'day=1/',
  ];
  const world = newWorld([...shown, ...hidden]);
  const events = [...shown, ...hidden].map((key) => objectCreated('lake', key));
  expect(failedItems(await world.dispatch()(sqsEvent(ARNS.dispatch, events), world.context()))).toEqual([]);
  expect((await plannedKeys(world)).toSorted()).toEqual(shown.toSorted());
});

describe('a batch', () => {
  it('names the messages that failed, and no others', async () => {
    const world = newWorld(['a.jsonl', 'b.jsonl']);
    const reply = await world.dispatch()(
      sqsEvent(ARNS.dispatch, [
        objectCreated('lake', 'a.jsonl'),
        'no JSON',
        { surprise: true },
        objectCreated('lake', 'b.jsonl'),
        s3Notification('lake', 'bad%ZZ'),
      ]),
      world.context(),
    );
    expect(failedItems(reply)).toEqual(['message-1', 'message-2', 'message-4']);
    expect((await plannedKeys(world)).toSorted()).toEqual(['a.jsonl', 'b.jsonl']);
  });

  it('of objects, some of which have no key, dispatches the others and tells of each', async () => {
    const world = newWorld(['a.jsonl', 'b.jsonl']);
    const event = s3Notification('lake', 'bad%ZZ', 'a.jsonl', '%FF', 'b.jsonl');
    const reply = await world.dispatch()(sqsEvent(ARNS.dispatch, [event]), world.context());
    expect(failedItems(reply)).toEqual(['message-0']);
    expect((await plannedKeys(world)).toSorted()).toEqual(['a.jsonl', 'b.jsonl']);
    const told = world.log.lines.filter(({ fields }) => fields['code'] === 'E_OBJECT_KEY');
    expect(new Set(told.map(({ message }) => /"(.*)"/.exec(message)?.[1]))).toEqual(
      new Set(['%FF', 'bad%ZZ']),
    );
  });

  it('gives back what there is no time for', async () => {
    const world = newWorld(['a.jsonl', 'b.jsonl']);
    const reply = await world.dispatch({ tasks: slowTasks(world, 50_000) })(
      sqsEvent(ARNS.dispatch, [objectCreated('lake', 'a.jsonl'), objectCreated('lake', 'b.jsonl')]),
      world.context(60_000),
    );
    expect(failedItems(reply)).toEqual(['message-1']);
    expect(await plannedKeys(world)).toEqual(['a.jsonl']);
  });
});

describe('a direct call', () => {
  it('plans a prefix and tells what it came to', async () => {
    const world = newWorld(['day=1/a.jsonl', 'day=1/b.jsonl', 'day=2/c.jsonl']);
    const reply = await world.dispatch()(
      { pipeline: 'lanes', prefix: 's3://lake/day=1/', objects: ['s3://lake/day=2/c.jsonl'], run: 'again' },
      world.context(),
    );
    expect(reply).toMatchObject({
      run: 'again',
      generation: 'lanes@1',
      objects: 3,
      tasks: 3,
      continues: false,
      refused: {},
    });
    const [run] = await world.store.runs(unstopped);
    expect(run).toMatchObject({ id: 'again', build: 'build-1', finishedAt: null });
    expect(JSON.parse(run?.report ?? '')).toEqual({ kind: 'order' });
  });

  it('with a predicate of its own has results under a name of their own, and takes it along', async () => {
    const world = newWorld();
    const where = { lane: 'A' };
    const reply = await world.dispatch()({ prefix: 's3://lake/', where }, world.context());
    const generation = generationOf(world.pipeline, where).id;
    expect(reply).toMatchObject({ generation });
    expect(generation).toMatch(/^lanes@1\?/);
    const [task] = (await world.takeTasks()).map((body) => JSON.parse(body) as { where: unknown });
    expect(task?.where).toEqual(where);
  });

  it.each([
    [{}, /objects or prefix/],
    [{ prefix: 's3://lake/', pipeline: 'other' }, /pipeline is other.*lanes/],
    [{ prefix: 's3://lake/', wehre: {} }, /wehre is not known/],
    [{ prefix: 'lake/' }, /lake\/ is no place/],
    [{ objects: [] }, /objects must be a list/],
    [{ objects: ['s3://lake/a', 3] }, /objects must be a list/],
    [{ prefix: 's3://lake/', where: { $near: 1 } }, /where: .*\$near/],
    [{ prefix: 's3://lake/', run: 'no spaces' }, /run must be/],
    [[], /no JSON object/],
  ])('that makes no sense is told so: %j', async (event, message) => {
    const world = newWorld();
    await expect(world.dispatch()(event, world.context())).rejects.toMatchObject({
      code: 'E_EVENT',
      message: expect.stringMatching(message) as unknown,
    });
    expect(await world.store.runs(unstopped)).toEqual([]);
  });

  it('cannot take the run of another generation', async () => {
    const world = newWorld();
    const dispatch = world.dispatch();
    await dispatch({ prefix: 's3://lake/', run: 'mine' }, world.context());
    await expect(
      dispatch({ prefix: 's3://lake/', run: 'mine', where: { lane: 'A' } }, world.context()),
    ).rejects.toMatchObject({ code: 'E_EVENT' });
  });

  it('says what is not there', async () => {
    const world = newWorld();
    await expect(
      world.dispatch()({ objects: ['s3://lake/gone.jsonl'] }, world.context()),
    ).rejects.toMatchObject({ code: 'E_OBJECT_NOT_FOUND' });
  });
});

describe('a long listing', () => {
  it('goes on by orders to its own queue, in the same run, until all of it is planned', async () => {
    const keys = Array.from({ length: 1_700 }, (_, index) => `p/${String(index).padStart(4, '0')}.jsonl`);
    const world = newWorld(keys);
    const dispatch = world.dispatch({ tasks: slowTasks(world, 40) });
    const where = { lane: { $ne: 'Z' } };
    const first = await dispatch({ prefix: 's3://lake/p/', run: 'long', where }, world.context(30_000));
    expect(first).toMatchObject({ run: 'long', continues: true });
    expect((await world.store.run('long', unstopped))?.report).toBeNull();
    let calls = 1;
    for (let order = world.orders.shift(); order !== undefined; order = world.orders.shift()) {
      calls++;
      const reply = await dispatch(sqsEvent(ARNS.dispatch, [order]), world.context(30_000));
      expect(failedItems(reply)).toEqual([]);
      if (calls > 400) throw new Error('it goes on for ever');
    }
    // One step of 500 objects takes 20 s, which shows in the first one: there is no time for two.
    expect(calls).toBe(4);
    const generation = generationOf(world.pipeline, where).id;
    const planned = await collect(world.store.objects({ generation, run: 'long' }, unstopped));
    expect(planned.map(({ object }) => object.key)).toEqual(keys);
    expect((await world.takeTasks()).length).toBe(1_700);
    const run = await world.store.run('long', unstopped);
    expect(run).toMatchObject({ finishedAt: null, report: '{"kind":"order"}' });
    expect(await world.store.runs(unstopped)).toHaveLength(1);
  });

  it('of places in no order leaves none out', async () => {
    const keys = Array.from({ length: 1_100 }, (_, index) => `${(index * 7919) % 1_103}.jsonl`);
    const world = newWorld(keys);
    const dispatch = world.dispatch({ tasks: slowTasks(world, 40) });
    const objects = keys.map((key) => `s3://lake/${key}`);
    const first = await dispatch({ objects, run: 'places' }, world.context(30_000));
    expect(first).toMatchObject({ continues: true });
    for (let order = world.orders.shift(); order !== undefined; order = world.orders.shift())
      await dispatch(sqsEvent(ARNS.dispatch, [order]), world.context(30_000));
    expect((await plannedKeys(world)).toSorted()).toEqual(keys.toSorted());
  });
});
