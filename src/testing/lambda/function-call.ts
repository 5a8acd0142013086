/**
 * Calls a function and waits. Resolves with what it returned, as JSON gives it back; what it rejects with counts as the
 * function's error, but for a `ThrottledError`.
 */
export type InvokeFunction = (event: unknown) => Promise<unknown>;

/** The function was called and failed: it threw, ran out of time or memory, or its process ended. */
export class FunctionError extends Error {
  /** Such as `Runtime.ExitError`, `Sandbox.Timedout`, or the name of what the function threw. */
  readonly errorType: string;

  constructor(errorType: string, message: string) {
    super(message);
    this.name = 'FunctionError';
    this.errorType = errorType;
  }
}

/** Every environment that the function may have is busy: it was not called. */
export class ThrottledError extends Error {
  constructor(functionName: string) {
    super(`${functionName} runs as often as it may at once`);
    this.name = 'TooManyRequestsException';
  }
}

/** The event is larger than Lambda takes: it was not called. */
export class RequestTooLargeError extends Error {
  constructor(bytes: number, maxBytes: number) {
    super(`The event has ${bytes} bytes, and Lambda takes ${maxBytes}`);
    this.name = 'RequestTooLargeException';
  }
}

/** A synchronous event and an answer, in bytes. */
export const MAX_PAYLOAD_BYTES = 6_291_456;

/** An asynchronous event, in bytes. */
export const MAX_ASYNC_PAYLOAD_BYTES = 1_048_576;

/** What has happened to a function so far. */
export interface FunctionCounts {
  /** Calls that reached the function, those included that failed. */
  readonly invocations: number;
  /** Calls that failed, for whatever reason. */
  readonly errors: number;
  /** Environments that ended in the middle of an invocation: out of time. */
  readonly timeouts: number;
  /** … by themselves, out of memory too. */
  readonly exits: number;
  /** … killed on demand. */
  readonly kills: number;
  /** Calls that found every environment busy. */
  readonly throttles: number;
  /** Environments started. */
  readonly coldStarts: number;
  /** Environments that did not come up. */
  readonly initErrors: number;
}

export const noCounts: FunctionCounts = {
  invocations: 0,
  errors: 0,
  timeouts: 0,
  exits: 0,
  kills: 0,
  throttles: 0,
  coldStarts: 0,
  initErrors: 0,
};

/** What the twin composes: a function in processes of its own, or one of this process (`inProcessFunction`). */
export interface TwinFunction {
  readonly name: string;
  readonly invoke: InvokeFunction;
  readonly counts: FunctionCounts;
  /** Resolves when nothing of it runs any more. */
  stop(): Promise<void>;
}

/** A function of this process: events and answers go through JSON as on Lambda, and nothing bounds its time or memory. */
export function inProcessFunction(name: string, handler: InvokeFunction): TwinFunction {
  const counts = { ...noCounts };
  return {
    name,
    counts,
    invoke: async (event) => {
      counts.invocations += 1;
      try {
        const answer = await handler(JSON.parse(JSON.stringify(event)));
        return answer === undefined ? null : (JSON.parse(JSON.stringify(answer)) as unknown);
      } catch (error) {
        counts.errors += 1;
        throw error;
      }
    },
    stop: () => Promise.resolve(),
  };
}
