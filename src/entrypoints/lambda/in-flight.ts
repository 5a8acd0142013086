import { InfrastructureError } from '../../domain/errors.ts';

/** Calls of ports that change something: whoever returns while one is under way does not know what became of it. */
const WRITES: ReadonlySet<string> = new Set([
  'put',
  'send',
  'add',
  'extend',
  'delete',
  'route',
  'claim',
  'commit',
  'release',
  'declare',
  'purge',
  'purgeKeys',
  'saveRun',
  'plan',
  'applyFrame',
  'applySectionRecord',
  'applyKeyed',
  'applyRedrive',
  'openFailures',
  'publish',
  'migrate',
]);

interface Call {
  /** `store.applyFrame` */
  readonly name: string;
  readonly isWrite: boolean;
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly settled: Promise<unknown>;
}

/** What one invocation has asked of the ports, which many invocations share, and has not been answered yet. */
export class InFlight {
  readonly #calls = new Set<Call>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Ports whose calls are counted here. What is no object (a setting) stays as it is. */
  watched<Ports extends object>(ports: Ports): Ports {
    return Object.fromEntries(
      Object.entries(ports).map(([name, port]) => [
        name,
        typeof port === 'object' && port !== null
          ? this.#watchedPort(name, port as object)
          : (port as unknown),
      ]),
    ) as Ports;
  }

  /** The calls under way, the oldest first, with how long they have been. */
  describe(): readonly { readonly call: string; readonly ms: number }[] {
    return [...this.#calls].map(({ name, since }) => ({ call: name, ms: this.#now() - since }));
  }

  /** Resolves when every call has ended, however it did. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#calls].map(({ settled }) => settled));
  }

  /** `E_FLOATING_WORK` where a write is under way. */
  floatingWrites(): InfrastructureError | undefined {
    const writes = [...this.#calls].filter(({ isWrite }) => isWrite).map(({ name }) => name);
    if (writes.length === 0) return undefined;
    return new InfrastructureError(`the function returned while it was writing: ${writes.join(', ')}`, {
      code: 'E_FLOATING_WORK',
    });
  }

  #watchedPort<Port extends object>(portName: string, port: Port): Port {
    return new Proxy(port, {
      get: (target, name) => {
        const member = Reflect.get(target, name, target) as unknown;
        if (typeof member !== 'function' || typeof name !== 'string') return member;
        return (...parameters: unknown[]) => {
          const answer: unknown = (member as (...all: unknown[]) => unknown).apply(target, parameters);
          if (answer instanceof Promise) this.#add(portName, name, answer);
          return answer;
        };
      },
    });
  }

  #add(portName: string, method: string, answer: Promise<unknown>): void {
    const call: Call = {
      name: `${portName}.${method}`,
      isWrite: WRITES.has(method),
      since: this.#now(),
      settled: answer,
    };
    this.#calls.add(call);
    const end = () => void this.#calls.delete(call);
    answer.then(end, end);
  }
}
