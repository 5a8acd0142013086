import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/adapters/inmemory/clock.ts';
import { InMemoryObjectSource } from '../../../src/adapters/inmemory/object-source.ts';
import { SeededRandom } from '../../../src/adapters/inmemory/random.ts';
import { InMemoryStream } from '../../../src/adapters/inmemory/stream.ts';
import { withFaults, type Fault } from '../../../src/testing/index.ts';

const never = new AbortController().signal;

function setUp(faults: readonly Fault[]) {
  const clock = new ManualClock(0);
  const stream = new InMemoryStream({ clock, random: new SeededRandom({ clock }, 1) }, { partitions: 1 });
  const kept = () => stream.read(0, null, Infinity, Infinity).map(({ data }) => data[0]);
  return { clock, stream, kept, ...withFaults(stream, faults, { clock }) };
}

const records = [1, 2, 3].map((value) => ({ partition: 0, data: Uint8Array.of(value) }));

describe('withFaults', () => {
  it('loses a call before it is made', async () => {
    const { port, kept, struck, calls } = setUp([{ kind: 'lost-call', on: 'put', call: 1 }]);
    await port.put(records, never);
    await expect(port.put(records, never)).rejects.toMatchObject({ kind: 'infrastructure', retryable: true });
    expect(kept()).toEqual([1, 2, 3]);
    await port.put(records, never);
    expect(kept()).toEqual([1, 2, 3, 1, 2, 3]);
    expect(struck).toEqual([{ kind: 'lost-call', on: 'put', call: 1 }]);
    expect(calls('put')).toBe(3);
  });

  it('loses an answer after the call has had its effect', async () => {
    const { port, kept } = setUp([{ kind: 'lost-answer', on: 'put', call: 0 }]);
    await expect(port.put(records, never)).rejects.toMatchObject({ kind: 'infrastructure', retryable: true });
    expect(kept()).toEqual([1, 2, 3]);
  });

  it('rejects single records and passes on the others', async () => {
    const { port, kept } = setUp([{ kind: 'reject', on: 'put', call: 0, records: [1, 7] }]);
    expect((await port.put(records, never)).map(({ accepted }) => accepted)).toEqual([true, false, true]);
    expect(kept()).toEqual([1, 3]);
  });

  it('delays a call by the clock, together with another fault', async () => {
    const { port, kept, clock } = setUp([
      { kind: 'delay', on: 'put', call: 0, ms: 500 },
      { kind: 'lost-answer', on: 'put', call: 0 },
    ]);
    const put = expect(port.put(records, never)).rejects.toThrow('Planned');
    await clock.advance(499);
    expect(kept()).toEqual([]);
    await clock.advance(1);
    await put;
    expect(kept()).toEqual([1, 2, 3]);
  });

  it('breaks off what is read', async () => {
    const lake = new InMemoryObjectSource({ chunkBytes: 2 });
    const object = lake.put({ bucket: 'b', key: 'k' }, '0123456789');
    const { port } = withFaults(lake, [{ kind: 'break', on: 'read', call: 0, after: 2 }], {
      clock: new ManualClock(),
    });
    const chunks: string[] = [];
    const read = async () => {
      for await (const chunk of port.read(object, { start: 0, end: 10 }, never))
        chunks.push(new TextDecoder().decode(chunk));
    };
    await expect(read()).rejects.toThrow('Planned');
    expect(chunks).toEqual(['01', '23']);
    await read();
    expect(chunks.join('')).toBe('01230123456789');
    expect(port.capabilities).toBe(lake.capabilities);
  });
});
