import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { S3ClaimCheck } from '../../../src/adapters/aws/claim-check.ts';
import { startFaultProxy } from '../../../src/testing/lambda/index.ts';
import { startS3Twin, type S3Twin } from './s3-twin.ts';
import { never, surroundings } from './surroundings.ts';

let twin: S3Twin;
let bucket = '';
let claims: S3ClaimCheck;

beforeAll(async () => {
  twin = await startS3Twin();
});

afterAll(() => twin.stop());

beforeEach(() => {
  bucket = twin.newBucket();
  claims = new S3ClaimCheck({ ...surroundings(), calls: twin.calls() }, { bucket });
});

async function kept(): Promise<string[]> {
  const request = { bucket, prefix: '', after: undefined, token: undefined, maxKeys: 1_000 };
  return (await twin.calls().list(request, never)).objects.map(({ key }) => key);
}

const text = (data: Uint8Array) => Buffer.from(data).toString('latin1');

describe('S3ClaimCheck', () => {
  it('gives back what it kept', () =>
    fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 3_000 }), async (data) => {
        const claim = await claims.check(data, never);
        expect(claim.length).toBeLessThanOrEqual(100);
        expect(text(claim)).toMatch(/^sluice-claim\/1 [\x20-\x7e]+$/);
        expect(Buffer.compare(await claims.redeem(claim, never), data)).toBe(0);
      }),
      { numRuns: 25 },
    ));

  it('keeps the same data once, under its digest', async () => {
    const data = Buffer.from('the same');
    expect(await claims.check(data, never)).toEqual(await claims.check(data, never));
    expect(await kept()).toEqual([`claims/${createHash('sha256').update(data).digest('hex')}`]);
  });

  it.each([
    '',
    '{"a":1}',
    'SLF1 a frame',
    'sluice-claim/1 ',
    'sluice-claim/1 abc 12',
    `sluice-claim/1 ${'0'.repeat(64)} 1 and more`,
    `sluice-claim/2 ${'0'.repeat(64)} 1`,
    ` sluice-claim/1 ${'0'.repeat(64)} 1`,
    `sluice-claim/1 ${'0'.repeat(64)} ${'1'.repeat(99)}`,
  ])('gives what is no claim back as it is: %j', async (data) => {
    const bytes = Buffer.from(data);
    expect(await claims.redeem(bytes, never)).toBe(bytes);
  });

  it('redeems once: data that reads like a claim is data', async () => {
    const inner = await claims.check(Buffer.from('x'), never);
    const outer = await claims.check(inner, never);
    expect(text(await claims.redeem(outer, never))).toBe(text(inner));
  });

  it('says that what it kept is gone', async () => {
    const claim = Buffer.from(`sluice-claim/1 ${'0'.repeat(64)} 1`);
    await expect(claims.redeem(claim, never)).rejects.toMatchObject({
      kind: 'infrastructure',
      code: 'E_CLAIM_MISSING',
      retryable: false,
    });
  });

  it.each(['other', 'longer than it was', 'less', ''])(
    'says that what it kept has changed: %s',
    async (instead) => {
      const claim = await claims.check(Buffer.from('whole'), never);
      const [key = ''] = await kept();
      const calls = twin.calls();
      await calls.put({ bucket, key }, Buffer.from(instead), { contentType: 'text/plain' }, never);
      await expect(claims.redeem(claim, never)).rejects.toMatchObject({
        kind: 'infrastructure',
        code: 'E_CLAIM_CORRUPT',
        retryable: false,
      });
    },
  );

  it('tries again where a body ends before its time', async () => {
    const claim = await claims.check(Buffer.from('whole'), never);
    const calls = twin.calls();
    let begun = 0;
    const short = new S3ClaimCheck(
      {
        ...surroundings(),
        calls: {
          ...calls,
          get: (object, range, signal) =>
            calls.get(object, begun++ === 0 ? { ...range, end: range.end - 1 } : range, signal),
        },
      },
      { bucket },
    );
    expect(text(await short.redeem(claim, never))).toBe('whole');
    expect(begun).toBe(2);
  });

  it('tries again what breaks on the way', async () => {
    const proxy = await startFaultProxy({
      upstream: twin.url,
      faults: [
        { kind: 'throttle', on: 'PutObject', call: 0 },
        { kind: 'lost-answer', on: 'PutObject', call: 1 },
        { kind: 'reset', on: 'HeadObject', call: 0 },
        { kind: 'truncate', on: 'GetObject', call: 0 },
      ],
    });
    try {
      const faulty = new S3ClaimCheck({ ...surroundings(), calls: twin.calls(proxy.url) }, { bucket });
      const claim = await faulty.check(Buffer.from('a large thing'), never);
      expect(text(await faulty.redeem(claim, never))).toBe('a large thing');
      expect(proxy.struck).toHaveLength(4);
    } finally {
      await proxy.stop();
    }
  });

  it('does nothing for a signal that is aborted already', async () => {
    const reason = new Error('stopped');
    await expect(claims.check(Buffer.from('x'), AbortSignal.abort(reason))).rejects.toBe(reason);
    await expect(claims.redeem(Buffer.from('x'), AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(await kept()).toEqual([]);
  });
});
