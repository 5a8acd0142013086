import type { ChildProcess } from 'node:child_process';
import type process from 'node:process';
import type { MessagePort, Transferable, Worker } from 'node:worker_threads';
import { InfrastructureError } from '../../../domain/errors.ts';
import { crossed, uncrossed, type CrossedError } from './crossed-error.ts';

/** A way to somebody who shares no memory with us; messages arrive in the order in which they were posted. */
export interface Channel {
  post(message: unknown, transfer: readonly Transferable[]): void;
  listen(take: (message: unknown) => void): void;
}

/** To another thread: what is in `transfer` moves there and is not copied. */
export function threadChannel(port: MessagePort | Worker): Channel {
  return {
    post: (message, transfer) => port.postMessage(message, transfer),
    listen: (take) => void port.on('message', take),
  };
}

/** To another process, made with `serialization: 'advanced'`. */
export function processChannel(other: ChildProcess | typeof process): Channel {
  return {
    // One that is gone gets nothing: that it is gone is told by its exit.
    post: (message) => void other.send?.(message as object, undefined, undefined, () => undefined),
    listen: (take) => void other.on('message', take),
  };
}

/** What one side does for the other, by name. The signal is aborted when the other side is gone. */
export type Services = Readonly<Record<string, (argument: never, signal: AbortSignal) => unknown>>;

type Message =
  | { readonly kind: 'call'; readonly id: number; readonly name: string; readonly argument: unknown }
  | { readonly kind: 'notice'; readonly name: string; readonly argument: unknown }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'refusal'; readonly id: number; readonly error: CrossedError };

/** One end of a channel: calls the other's services and answers for its own. */
export class Peer {
  readonly #channel: Channel;
  readonly #services: Services;
  readonly #calls = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #gone = new AbortController();
  #ids = 0;

  constructor(channel: Channel, services: Services) {
    this.#channel = channel;
    this.#services = services;
    channel.listen((message) => this.#take(message as Message));
  }

  /** @throws what the other side's service threw, or what it is gone by */
  async call(name: string, argument: unknown, transfer: readonly Transferable[] = []): Promise<unknown> {
    this.#gone.signal.throwIfAborted();
    const id = ++this.#ids;
    const call = Promise.withResolvers<unknown>();
    this.#calls.set(id, call);
    this.#post({ kind: 'call', id, name, argument }, transfer);
    return call.promise;
  }

  /** Says something that has no answer. */
  notify(name: string, argument: unknown): void {
    if (!this.#gone.signal.aborted) this.#post({ kind: 'notice', name, argument });
  }

  /** The other side is gone: nothing that it still says counts, and whoever waits for it is told why. */
  end(reason: unknown): void {
    if (this.#gone.signal.aborted) return;
    this.#gone.abort(reason);
    for (const { reject } of this.#calls.values()) reject(reason);
    this.#calls.clear();
  }

  #take(message: Message): void {
    if (this.#gone.signal.aborted) return;
    if (message.kind === 'call') void this.#serve(message);
    else if (message.kind === 'notice')
      this.#service(message.name)(message.argument as never, this.#gone.signal);
    else {
      const call = this.#calls.get(message.id);
      this.#calls.delete(message.id);
      if (message.kind === 'answer') call?.resolve(message.value);
      else call?.reject(uncrossed(message.error));
    }
  }

  async #serve({ id, name, argument }: Extract<Message, { kind: 'call' }>): Promise<void> {
    let reply: Message;
    try {
      const value = await this.#service(name)(argument as never, this.#gone.signal);
      reply = { kind: 'answer', id, value };
    } catch (thrown) {
      reply = { kind: 'refusal', id, error: crossed(thrown) };
    }
    if (!this.#gone.signal.aborted) this.#post(reply);
  }

  #service(name: string): Services[string] {
    const service = this.#services[name];
    if (service !== undefined) return service;
    throw new InfrastructureError(`there is no service ${name}`, { code: 'E_INTERNAL', retryable: false });
  }

  #post(message: Message, transfer: readonly Transferable[] = []): void {
    this.#channel.post(message, transfer);
  }
}
