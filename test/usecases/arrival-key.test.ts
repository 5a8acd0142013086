import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arrivalKey, type ArrivedRecord } from '../../src/application/ingest/arrival-key.ts';

const record: ArrivedRecord = {
  stream: 'orders',
  shardId: 'shardId-000000000003',
  sequenceNumber: '49590338271490256608559692538361571095921575989136588898',
  arrivedAt: Date.UTC(2019, 4, 25, 13, 37),
};

const records = fc.record<ArrivedRecord>({
  stream: fc.stringMatching(/^[a-zA-Z0-9_.-]{1,20}$/),
  shardId: fc.nat().map((shard) => `shardId-${String(shard).padStart(12, '0')}`),
  sequenceNumber: fc.bigInt({ min: 0n, max: 2n ** 186n }).map(String),
  arrivedAt: fc.integer({ min: 0, max: Date.UTC(2100, 0, 1) }),
});

describe('The key of a record of a stream', () => {
  it('is date of arrival, stream, shard and sequence number', () => {
    expect(arrivalKey(record)).toBe(
      '2019-05-25-orders-shardId-000000000003-49590338271490256608559692538361571095921575989136588898',
    );
  });

  it('has the date of UTC, wherever it is worked out', () => {
    const zone = process.env['TZ'];
    try {
      for (const there of ['Pacific/Kiritimati', 'America/Adak', 'UTC']) {
        process.env['TZ'] = there;
        expect(arrivalKey({ ...record, arrivedAt: Date.UTC(2020, 1, 29) })).toMatch(/^2020-02-29-/);
        expect(arrivalKey({ ...record, arrivedAt: Date.UTC(2020, 2, 1) - 1 })).toMatch(/^2020-02-29-/);
      }
    } finally {
      if (zone === undefined) delete process.env['TZ'];
      else process.env['TZ'] = zone;
    }
  });

  it('is the same from seconds as an event has them and from milliseconds', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: Date.UTC(2100, 0, 1) }),
        fc.constantFrom(0, -1, 1, 999),
        (day, off) => {
          const arrivedAt = Math.max(0, day - (day % 86_400_000) + off);
          const seconds = JSON.parse(`${arrivedAt / 1000}`) as number;
          expect(arrivalKey({ ...record, arrivedAt: seconds * 1000 })).toBe(
            arrivalKey({ ...record, arrivedAt }),
          );
        },
      ),
    );
  });

  it('is another one for another record, and the same one for the same', () => {
    fc.assert(
      fc.property(records, records, (one, two) => {
        expect(arrivalKey({ ...one })).toBe(arrivalKey(one));
        const same =
          one.stream === two.stream &&
          one.shardId === two.shardId &&
          one.sequenceNumber === two.sequenceNumber;
        if (!same) expect(arrivalKey(one)).not.toBe(arrivalKey(two));
      }),
    );
  });

  it('is refused where something is missing', () => {
    for (const wrong of [
      { arrivedAt: Number.NaN },
      { arrivedAt: -1 },
      { arrivedAt: Infinity },
      { arrivedAt: Date.UTC(10_000, 0, 1) },
      { stream: '' },
      { shardId: '' },
      { sequenceNumber: '' },
      { sequenceNumber: '12x' },
    ]) {
      expect(() => arrivalKey({ ...record, ...wrong })).toThrow(
        expect.objectContaining({ code: 'E_KEY' }) as Error,
      );
    }
  });
});
