import { createHash } from 'node:crypto';
import type { ClaimCheck } from '../../../src/adapters/aws/claim-check.ts';

/** Claims kept in memory, and how many were made. */
export class MemoryClaims implements ClaimCheck {
  readonly kept = new Map<string, Uint8Array>();

  async check(data: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    signal.throwIfAborted();
    const claim = `memory-claim ${createHash('sha256').update(data).digest('hex')}`;
    this.kept.set(claim, new Uint8Array(data));
    return Buffer.from(claim);
  }

  async redeem(data: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    signal.throwIfAborted();
    return this.kept.get(Buffer.from(data).toString()) ?? data;
  }
}
