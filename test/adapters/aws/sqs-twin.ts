import { startFauxqs } from 'fauxqs';

/** An SQS of its own on loopback. */
export class SqsTwin {
  readonly url: string;
  readonly #server: Awaited<ReturnType<typeof startFauxqs>>;
  #queues = 0;

  private constructor(server: Awaited<ReturnType<typeof startFauxqs>>) {
    this.#server = server;
    this.url = `http://127.0.0.1:${server.port}`;
  }

  static async start(): Promise<SqsTwin> {
    return new SqsTwin(await startFauxqs({ port: 0, logger: false }));
  }

  /** A new queue, that is empty. */
  createQueue(): { readonly name: string; readonly queueUrl: string } {
    const name = `queue-${this.#queues++}`;
    return { name, queueUrl: this.#server.createQueue(name).queueUrl };
  }

  /** The messages that wait in a queue, as they were sent. */
  waiting(name: string) {
    return this.#server.inspectQueue(name)?.messages.ready ?? [];
  }

  stop(): Promise<void> {
    return this.#server.stop();
  }
}
