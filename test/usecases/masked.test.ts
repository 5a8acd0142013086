import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { unpackFrame } from '../../src/application/frames/frame-codec.ts';
import { decodeValue } from '../../src/application/values/value-reader.ts';
import type { Mask } from '../../src/domain/mask.ts';
import { count } from '../../src/domain/measure.ts';
import { definePipeline, type AnyPipeline, type FrameCodec } from '../../src/domain/pipeline.ts';
import { emptyRow } from '../../src/domain/row.ts';
import { collect } from '../../src/testing/harness.ts';
import { imbalances, newWorld, Process, type World } from './harness.ts';
import { BUCKET } from './lakes.ts';

/** In every personal field; what is kept of a failure must not have it. */
const CANARY = 'anna-4711';
const GENERATION = 'people@1';
const never = new AbortController().signal;
const file = { bucket: BUCKET, key: 'people.jsonl' };

const person = (id: number, fate: string) => ({
  id,
  fate,
  email: `${CANARY}@example.org`,
  address: { street: CANARY, city: 'Bern' },
});

const LAKE = [person(1, 'ok'), person(2, 'row'), person(3, 'message'), person(4, 'ok')]
  .map((row) => `${JSON.stringify(row)}\n`)
  .toSpliced(2, 0, `{"id": 9, "email": "${CANARY}" broken\n`)
  .join('');

const masks: Mask = { rows: ['email', 'address.street'], messages: ['mail', 'where.street'] };

interface How {
  readonly mask?: Mask;
  readonly mended?: boolean;
  readonly frames?: FrameCodec;
}

/** Fails as the row says, with errors that quote nothing. */
function people({ mask, mended = false, frames = 'packed' }: How): AnyPipeline {
  return definePipeline({
    name: 'people',
    version: 1,
    source: { columns: ['id', 'fate', 'email', 'address'], id: (row) => row['id'] as number },
    transform: ({ id, fate, email, address }) => {
      if (!mended && fate === 'row') throw new Error('no such row');
      return [
        { id, fate: 'ok', mail: email, where: address },
        { id, fate, mail: email, where: address },
      ];
    },
    analyze: {
      groupBy: ({ fate, mail }: { fate: string; mail: string }) => {
        if (!mended && fate === 'message') throw new Error('no such message');
        return mail;
      },
      measures: { messages: count() },
    },
    frames,
    ...(mask === undefined ? {} : { mask }),
  }) as AnyPipeline;
}

async function ran(world: World, how: How, text = LAKE): Promise<Process> {
  world.source.put(file, Buffer.from(text, 'utf8'));
  const process = new Process(world, people(how));
  await process.run();
  return process;
}

const open = async ({ store }: World) =>
  (await collect(store.failures({ generation: GENERATION, state: 'open' }, never))).map(
    ({ failure }) => failure,
  );

/** Stage and payload of what is open, by the order of stages. */
const kept = async (world: World) =>
  (await open(world))
    .map(({ stage, payload }) => [
      stage,
      payload === null ? null : JSON.parse(JSON.stringify(decodeValue(payload))),
    ])
    .sort(([a], [b]) => String(a).localeCompare(String(b)));

const groups = async ({ store }: World) =>
  (await collect(store.groups(GENERATION, never))).map(({ group }) => group);

/** All that the failures leave behind, decoded: in the store, in the copies, and in frames on their way. */
async function traces(world: World, process: Process): Promise<string> {
  const found: unknown[] = [await open(world), world.router.failures];
  for (const record of process.put) {
    const { body } = await unpackFrame(record);
    if (body.kind === 'failures') found.push(body.failures);
    if (body.kind === 'keyed') found.push(body.entries.map(({ failure }) => failure));
    if (body.kind === 'redrive') found.push(body.failure, body.payload);
  }
  return textOf(found);
}

function textOf(found: unknown): string {
  return JSON.stringify(found, function (this: Record<string, unknown>, field, value: unknown) {
    const bytes = this[field];
    // What a Buffer's own `toJSON` makes of it would hide what is in it.
    return bytes instanceof Uint8Array ? Buffer.from(bytes).toString('latin1') : value;
  });
}

describe('masked fields', () => {
  it.each<FrameCodec>(['packed', 'json'])('are kept nowhere: %s', async (frames) => {
    const world = newWorld();
    const process = await ran(world, { mask: masks, frames });
    expect(await kept(world)).toEqual([
      ['analyze', { id: 3, fate: 'message', mail: '[masked]', where: { street: '[masked]', city: 'Bern' } }],
      ['read', null],
      ['transform', { id: 2, fate: 'row', email: '[masked]', address: { street: '[masked]', city: 'Bern' } }],
    ]);
    expect(await traces(world, process)).not.toContain(CANARY);
    // Results are none of its business.
    expect(await groups(world)).toEqual([`${CANARY}@example.org`]);
    expect(await imbalances(world, GENERATION)).toEqual([]);
  });

  it('would be found where nothing is masked', async () => {
    const world = newWorld();
    const process = await ran(world, {});
    // Five in the store, as many in the copies, and three in the frame of rows that failed.
    expect((await traces(world, process)).split(CANARY).length - 1).toBe(13);
  });

  it('of which one list is left out: nothing of it is kept', async () => {
    const rows = newWorld();
    await ran(rows, { mask: { rows: ['email', 'address'] } });
    expect(await kept(rows)).toMatchObject([
      ['analyze', null],
      ['read', null],
      ['transform', { address: '[masked]' }],
    ]);
    const messages = newWorld();
    await ran(messages, { mask: { messages: ['mail', 'where'] } });
    expect(await kept(messages)).toMatchObject([
      ['analyze', { where: '[masked]' }],
      ['read', null],
      ['transform', null],
    ]);
    const nothing = newWorld();
    await ran(nothing, { mask: { rows: [], messages: [] } });
    expect(JSON.stringify(await kept(nothing)).split(CANARY).length - 1).toBe(5);
  });

  it('are redriven by reading their rows again, and once', async () => {
    const world = newWorld();
    await ran(world, { mask: masks });
    const mended = new Process(world, people({ mask: masks, mended: true }), 'build-2');
    // The line that is broken stays so.
    expect(await mended.redrive()).toEqual({ sent: 3, notRedrivable: [] });
    expect(await kept(world)).toEqual([['read', null]]);
    const [state] = await collect(world.store.groups(GENERATION, never));
    expect(state?.group).toBe(`${CANARY}@example.org`);
    expect(await imbalances(world, GENERATION)).toEqual([]);
    expect(await traces(world, mended)).not.toContain(CANARY);
    const [progress] = await collect(world.store.objects({ generation: GENERATION }, never));
    expect(progress).toMatchObject({ rows: 5, failed: 2, messages: 6 });
  });

  it('stay masked when they fail again', async () => {
    const world = newWorld();
    await ran(world, { mask: masks });
    const before = await kept(world);
    const same = new Process(world, people({ mask: masks }));
    expect(await same.redrive()).toMatchObject({ sent: 3 });
    expect(await kept(world)).toEqual(before);
    expect(await traces(world, same)).not.toContain(CANARY);
  });

  it.each(['gone', 'another'])('cannot be redriven where their object is %s, and say so', async (what) => {
    const world = newWorld();
    await ran(world, { mask: masks });
    if (what === 'gone') world.source.delete(file);
    else world.source.put(file, Buffer.from('{"id":1}\n', 'utf8'));
    const mended = new Process(world, people({ mask: masks, mended: true }), 'build-2');
    const { sent, notRedrivable } = await mended.redrive();
    expect(sent).toBe(0);
    expect(notRedrivable.map(({ code }) => code)).toEqual(
      Array.from({ length: 3 }, () => 'E_NOT_REDRIVABLE'),
    );
    expect(await open(world)).toHaveLength(3);
  });

  it('are never taken for data by code whose mask is gone', async () => {
    const world = newWorld();
    await ran(world, { mask: masks });
    world.source.delete(file);
    const unmasked = new Process(world, people({ mended: true }), 'build-2');
    expect(await unmasked.redrive()).toMatchObject({ sent: 0 });
    expect(await groups(world)).toEqual([`${CANARY}@example.org`]);
    expect(await open(world)).toHaveLength(3);
  });

  it('are masked from the next try on where the mask is new', async () => {
    const world = newWorld();
    await ran(world, {});
    const masking = new Process(world, people({ mask: masks }), 'build-2');
    await masking.redrive();
    expect(await kept(world)).toMatchObject([
      ['analyze', { mail: '[masked]' }],
      ['read', null],
      ['transform', { email: '[masked]' }],
    ]);
    expect(textOf(await open(world))).not.toContain(CANARY);
  });

  it('change no generation: a mask that is new needs no new version, and no frame is another', async () => {
    const world = newWorld();
    const { generation } = await ran(world, { mask: masks });
    expect(new Process(world, people({})).generation).toEqual(generation);
    const again = new Process(world, people({}), 'build-2');
    const summary = await again.run('run-2');
    expect(summary).toMatchObject({ completeObjects: 1, tasks: 0 });
  });
});

describe('masked messages from elsewhere', () => {
  const arrive = (row: object) => ({ key: null, time: null, row: Object.assign(emptyRow(), row) });

  async function ingested(world: World, how: How): Promise<Process> {
    const process = new Process(world, people(how));
    await world.store.declare(process.generation, never);
    const broken = {
      coordinate: 0,
      code: 'E_JSON',
      message: 'no JSON',
      rows: 1,
      raw: Buffer.from(`{${CANARY}`),
    };
    await process.ingest('pipe', [
      arrive({ ...person(2, 'row'), unread: CANARY }),
      arrive(person(3, 'message')),
      { key: 'raw', time: null, fault: broken },
    ]);
    await process.drain();
    return process;
  }

  it('are kept without what is masked, and without columns that nobody declared', async () => {
    const world = newWorld();
    const process = await ingested(world, { mask: masks });
    expect(await kept(world)).toEqual([
      ['analyze', { id: 3, fate: 'message', mail: '[masked]', where: { street: '[masked]', city: 'Bern' } }],
      ['read', null],
      ['transform', { id: 2, fate: 'row', email: '[masked]', address: { street: '[masked]', city: 'Bern' } }],
    ]);
    expect(await traces(world, process)).not.toContain(CANARY);
  });

  it('cannot be read again: they say what to do', async () => {
    const world = newWorld();
    await ingested(world, { mask: masks });
    const mended = new Process(world, people({ mask: masks, mended: true }), 'build-2');
    const { sent, notRedrivable } = await mended.redrive();
    expect(sent).toBe(0);
    expect(notRedrivable).toHaveLength(3);
    for (const { code, reason } of notRedrivable) {
      expect(code).toBe('E_NOT_REDRIVABLE');
      expect(reason).toMatch(/masked|cannot be read/);
      expect(reason).toContain('send it again from where it came, under another id');
    }
  });

  it('of which nothing is masked are redriven from what was kept', async () => {
    const world = newWorld();
    await ingested(world, { mask: { rows: ['address.door'], messages: ['where.door'] } });
    const mended = new Process(world, people({ mask: masks, mended: true }), 'build-2');
    expect(await mended.redrive()).toMatchObject({ sent: 2, notRedrivable: [{ code: 'E_NOT_REDRIVABLE' }] });
    expect(await kept(world)).toEqual([['read', null]]);
  });
});
