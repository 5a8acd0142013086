/** When a fault strikes: at one call, or at a share of the calls. Calls of an operation are counted from 0. */
type Strikes =
  | { readonly call: number; readonly rate?: never; readonly atMost?: never }
  | {
      /** Share of the calls that are struck, from 0 to 1; which ones follows from the seed alone. */
      readonly rate: number;
      readonly call?: never;
      /** No more than so many in all. Default: no limit. */
      readonly atMost?: number;
    };

interface At {
  /** The operation as the SDK names it (`PutRecords`, `GetObject`), or `*` for every one. */
  readonly on: string;
}

/** The operations whose requests hold many entries of which the service may take some. */
export type BatchOperation =
  'PutRecords' | 'SendMessageBatch' | 'DeleteMessageBatch' | 'ChangeMessageVisibilityBatch';

/** One thing that goes wrong between a client and AWS, as data. */
export type WireFault = At &
  Strikes &
  (
    | {
        /**
         * Some entries of a batch never reach the service; the answer is a 200 that rejects them. Entries by index, or
         * a share (0 to 1) of them chosen by the seed.
         */
        readonly kind: 'reject';
        readonly on: BatchOperation;
        readonly entries: readonly number[] | number;
        /** Default: `ProvisionedThroughputExceededException` for PutRecords, `InternalError` else. */
        readonly code?: string;
        /** Whether the sender is to blame (SQS). Default `false`. */
        readonly senderFault?: boolean;
      }
    /** Refused for its rate, in the words of the service: nothing is forwarded. */
    | { readonly kind: 'throttle' }
    /** An internal failure (500) or an overloaded service (503): nothing is forwarded. */
    | { readonly kind: 'error'; readonly status: 500 | 503 }
    /** The connection is reset before anything is forwarded. */
    | { readonly kind: 'reset' }
    /** The service does what it was asked for; then the connection is reset instead of the answer. */
    | { readonly kind: 'lost-answer' }
    /** The answer's body breaks off after so many bytes (default: half of it) and the connection is reset. */
    | { readonly kind: 'truncate'; readonly after?: number }
    /** The call is forwarded after so many milliseconds. */
    | { readonly kind: 'delay'; readonly ms: number }
    /**
     * `ReceiveMessage`: its messages come a second time, with a later answer of the same queue. Of any other call: it is
     * forwarded twice, and the second answer is the one that counts, as after a retry that the client does not see.
     */
    | { readonly kind: 'duplicate' }
    /**
     * `ReceiveMessage`: messages come in another order. `PutRecords`, `SendMessageBatch`: entries are forwarded in another
     * order, which AWS does not promise to keep; the answer is in the order of the request.
     */
    | { readonly kind: 'reorder'; readonly on: 'ReceiveMessage' | 'PutRecords' | 'SendMessageBatch' }
  );

export type WireFaultKind = WireFault['kind'];

/** A fault that struck, and the call of its operation that it struck. */
export interface StruckWireFault {
  readonly fault: WireFault;
  readonly operation: string;
  readonly call: number;
}

/**
 * Chooses what strikes a call. A choice depends on the seed, the fault, the operation and the number of the call, so it is
 * the same however calls of several operations mix.
 */
export class WireFaultPlan {
  readonly #faults: readonly WireFault[];
  readonly #seed: number;
  readonly #strikes = new Map<WireFault, number>();

  constructor(faults: readonly WireFault[], seed: number) {
    this.#faults = faults;
    this.#seed = seed;
  }

  faultsOf(operation: string, call: number): readonly WireFault[] {
    return this.#faults.filter((fault, at) => {
      if (fault.on !== '*' && fault.on !== operation) return false;
      if (fault.call !== undefined) return fault.call === call;
      const strikes = this.#strikes.get(fault) ?? 0;
      if (strikes >= (fault.atMost ?? Number.POSITIVE_INFINITY)) return false;
      if (this.chance(`${at}`, operation, `${call}`) >= fault.rate) return false;
      this.#strikes.set(fault, strikes + 1);
      return true;
    });
  }

  /** A number in [0, 1) that belongs to these words under the plan's seed. */
  chance(...words: readonly string[]): number {
    // FNV-1a, and MurmurHash3's last step, without which numbers of neighbouring calls resemble each other.
    let hash = 0x811c9dc5 ^ this.#seed;
    for (const character of words.join('\n'))
      hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
  }

  /** The indices from 0 to `length` in an order of the seed's, never as they were (where there are two or more). */
  shuffled(length: number, ...words: readonly string[]): readonly number[] {
    const order = Array.from({ length }, (_, at) => at);
    for (let at = length - 1; at > 0; at -= 1) {
      const other = Math.floor(this.chance(...words, `${at}`) * (at + 1));
      [order[at], order[other]] = [order[other] as number, order[at] as number];
    }
    return order.every((from, to) => from === to) ? order.toReversed() : order;
  }
}
