/** Of what the platform adds to ECMAScript, the domain may use only this: ports take it, and it is the caller's. */
interface AbortSignal {
  readonly aborted: boolean;
  // oxlint-disable-next-line typescript/no-explicit-any -- as Node declares it
  readonly reason: any;
  throwIfAborted(): void;
}
