import { createHash } from 'node:crypto';
import { S3ClaimCheck } from '../../../src/adapters/aws/claim-check.ts';
import { SystemClock } from '../../../src/adapters/inmemory/clock.ts';
import { SeededRandom } from '../../../src/adapters/inmemory/random.ts';
import { DomainError } from '../../../src/domain/errors.ts';
import type { ObjectName } from '../../../src/domain/lake-object.ts';
import { outcomeOf } from '../refusal.ts';
import { agree, must, type Target } from '../target.ts';

const KEPT = Buffer.from('what was too large to travel');
const signal = new AbortController().signal;

/**
 * Claims against what they promise: data that is no claim comes back as it is; what a claim stands for has the claim's digest and
 * length; and nothing but `claims/` and a digest is ever asked of the bucket.
 */
export const claimsTarget: Target = {
  name: 'claims',
  share: 15,
  isJson: false,
  tokens: [
    'sluice-claim/1 ',
    '../',
    '/',
    ' ',
    '0',
    '999999999999999',
    '99999999999999999999',
    '-1',
    '\n',
    'e',
    'a'.repeat(64),
  ],
  open() {
    const clock = new SystemClock();
    const asked: ObjectName[] = [];
    const calls = {
      put: async () => ({ etag: 'e', version: 'v' }) as never,
      head: async (name: ObjectName) => {
        asked.push(name);
        if (!name.key.endsWith(digestOf(KEPT)) && !name.key.endsWith('0'))
          throw new DomainError('no such object', { code: 'E_OBJECT_NOT_FOUND' });
        return { ...name, version: 'v', size: KEPT.length } as never;
      },
      get: async () => [KEPT] as never,
    };
    const claims = new S3ClaimCheck({ calls, clock, random: new SeededRandom({ clock }, 1) } as never, {
      bucket: 'state',
    });
    const digest = digestOf(KEPT);
    return {
      corpus: [
        `sluice-claim/1 ${digest} ${KEPT.length}`,
        `sluice-claim/1 ${digest.slice(0, -1)}0 ${KEPT.length}`,
        `sluice-claim/1 ${digest} 5`,
        'SLF1 no claim',
        '',
      ].map((text) => new Uint8Array(Buffer.from(text))),
      async check(input) {
        asked.length = 0;
        const { value, code } = await outcomeOf(['E_CLAIM_MISSING', 'E_CLAIM_CORRUPT'], () =>
          claims.redeem(input, signal),
        );
        for (const { bucket, key } of asked)
          must(bucket === 'state' && /^claims\/[0-9a-f]{64}$/.test(key), `asked for ${bucket}/${key}`);
        const text = Buffer.from(input).toString('latin1');
        const [magic, claimed = '', length = '', ...more] = text.split(' ');
        const isClaim =
          magic === 'sluice-claim/1' &&
          more.length === 0 &&
          /^[0-9a-f]{64}$/.test(claimed) &&
          /^\d{1,15}$/.test(length) &&
          input.length <= 100;
        agree('claims', asked.length > 0, isClaim);
        if (code !== undefined) return 'refused';
        if (!isClaim) agree('data', value, input);
        else agree('kept data', [digestOf(value), value?.length], [claimed, Number(length)]);
        return isClaim ? 'accepted' : 'refused';
      },
    };
  },
};

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
