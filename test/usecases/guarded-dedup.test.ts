import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/adapters/inmemory/clock.ts';
import { InMemoryDedupStore } from '../../src/adapters/inmemory/dedup-store.ts';
import { InMemoryLog, silentLog } from '../../src/adapters/inmemory/log.ts';
import { InMemoryMetrics } from '../../src/adapters/inmemory/metrics.ts';
import { GuardedDedup } from '../../src/application/ingest/guarded-dedup.ts';
import { InfrastructureError } from '../../src/domain/errors.ts';
import type { Claim, ClaimOutcome, DedupStore } from '../../src/domain/ports/dedup-store.ts';
import { dedupStoreContract } from '../../src/testing/dedup-store-contract.ts';
import { unstopped } from '../../src/testing/harness.ts';

dedupStoreContract('of the in-memory provider, guarded', async () => {
  const clock = new ManualClock();
  const dedup = new InMemoryDedupStore({ clock }, { retentionMs: 2_000 });
  return {
    store: new GuardedDedup({ dedup, log: silentLog, metrics: new InMemoryMetrics() }),
    advance: (ms) => clock.advance(ms),
    dispose: async () => {},
  };
});

function guarded({ away = () => false }: { readonly away?: () => boolean } = {}) {
  const log = new InMemoryLog();
  const metrics = new InMemoryMetrics();
  const asked: string[] = [];
  const store = new InMemoryDedupStore({ clock: new ManualClock() });
  const on = async <T>(call: string, work: () => Promise<T>): Promise<T> => {
    asked.push(call);
    if (away()) throw new InfrastructureError('away', { code: 'E_DEDUP_UNAVAILABLE' });
    return work();
  };
  const dedup: DedupStore = {
    capabilities: store.capabilities,
    claim: (keys, leaseMs, signal) => on('claim', () => store.claim(keys, leaseMs, signal)),
    commit: (claims, signal) => on('commit', () => store.commit(claims, signal)),
    release: (claims, signal) => on('release', () => store.release(claims, signal)),
  };
  return { guard: new GuardedDedup({ dedup, log, metrics }), store, log, metrics, asked };
}

function claimsOf(keys: readonly string[], outcomes: readonly ClaimOutcome[]): Claim[] {
  return keys.flatMap((key, at) => {
    const outcome = outcomes[at];
    return outcome?.state === 'claimed' ? [{ key, token: outcome.token }] : [];
  });
}

describe('Without its store of keys, work', () => {
  it('claims every key, settles nothing, and says so once, with a count', async () => {
    const { guard, log, metrics, asked } = guarded({ away: () => true });
    const keys = ['a', 'b', 'a'];
    const outcomes = await guard.claim(keys, 1_000, unstopped);
    expect(outcomes.map(({ state }) => state)).toEqual(['claimed', 'claimed', 'busy']);
    const claims = claimsOf(keys, outcomes);
    expect(await guard.commit(claims, unstopped)).toEqual([false, false]);
    expect(await guard.release(claims, unstopped)).toEqual([false, false]);
    // Nobody waits for a store that does not know the claims.
    expect(asked).toEqual(['claim']);
    expect(metrics.snapshot()).toEqual({ dedupUnavailable: 3 });
    expect(log.lines).toMatchObject([
      { level: 'warn', fields: { call: 'claim', keys: 3, error: { code: 'E_DEDUP_UNAVAILABLE' } } },
    ]);
  });

  it('goes on where the store fails after the claim', async () => {
    let away = false;
    const { guard, log, metrics } = guarded({ away: () => away });
    const keys = ['a', 'b'];
    const claims = claimsOf(keys, await guard.claim(keys, 1_000, unstopped));
    away = true;
    expect(await guard.commit(claims, unstopped)).toEqual([false, false]);
    expect(await guard.release(claims.slice(1), unstopped)).toEqual([false]);
    expect(metrics.total('dedupUnavailable')).toBe(3);
    expect(log.lines.map(({ level, fields }) => [level, fields['call']])).toEqual([
      ['warn', 'commit'],
      ['warn', 'release'],
    ]);
  });

  it('has no keys of a later claim confirmed that it did not get', async () => {
    let away = true;
    const { guard, store } = guarded({ away: () => away });
    const unasked = claimsOf(['a'], await guard.claim(['a'], 1_000, unstopped));
    away = false;
    // Somebody else has it meanwhile: who was never given it neither finishes it nor gives it back.
    const [other] = claimsOf(['a'], await store.claim(['a'], 1_000, unstopped));
    const own = claimsOf(['b'], await guard.claim(['b'], 1_000, unstopped));
    expect(await guard.commit([...unasked, ...own, ...unasked], unstopped)).toEqual([false, true, false]);
    expect(await guard.release(unasked, unstopped)).toEqual([false]);
    expect(await store.claim(['a'], 1_000, unstopped)).toEqual([{ state: 'busy' }]);
    expect(await store.commit([other as Claim], unstopped)).toEqual([true]);
  });

  it('stops when it is told to, and hears of its own defects', async () => {
    const { guard, metrics } = guarded();
    const tooMany = Array.from({ length: guard.capabilities.maxBatchKeys + 1 }, (_, at) => `${at}`);
    await expect(guard.claim(tooMany, 1_000, unstopped)).rejects.toMatchObject({ code: 'E_INTERNAL' });
    const stopping = new AbortController();
    const reason = new Error('deadline');
    const late = guarded({
      away: () => {
        stopping.abort(reason);
        return true;
      },
    });
    await expect(late.guard.claim(['a'], 1_000, stopping.signal)).rejects.toBe(reason);
    expect(metrics.snapshot()).toEqual({});
    expect(late.metrics.snapshot()).toEqual({});
  });
});
