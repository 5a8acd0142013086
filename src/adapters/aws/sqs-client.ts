import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SQSClient,
  type SQSClientConfig,
} from '@aws-sdk/client-sqs';
import { explained, isRetryableCode, nameOf } from './errors.ts';
import { httpHandler } from './http-handler.ts';
import type { QueueMessage } from './sqs-batch.ts';

/** What is asked of SQS, in our words. Everything above it knows no SDK. */
export interface SqsCalls {
  /** One request: ten messages and 1 MiB at most. One outcome per message, in order. */
  sendBatch(
    queueUrl: string,
    messages: readonly QueueMessage[],
    signal: AbortSignal,
  ): Promise<readonly SendOutcome[]>;
  /** One request: up to `max` messages, ten at most, hidden for `visibilitySeconds`. */
  receive(
    queueUrl: string,
    max: number,
    visibilitySeconds: number,
    signal: AbortSignal,
  ): Promise<readonly ReceivedMessage[]>;
  /** `false`: the receipt has lapsed, or is none. */
  changeVisibility(
    queueUrl: string,
    receipt: string,
    visibilitySeconds: number,
    signal: AbortSignal,
  ): Promise<boolean>;
  /** `false`: the receipt has lapsed, or is none. `true` does not say that it has not: SQS takes lapsed ones, too. */
  delete(queueUrl: string, receipt: string, signal: AbortSignal): Promise<boolean>;
  /** Closes its connections. */
  close(): void;
}

export type SendOutcome =
  { readonly sent: true } | { readonly sent: false; readonly retryable: boolean; readonly message: string };

export interface ReceivedMessage {
  readonly body: string;
  readonly receipt: string;
  /** 1 at the first delivery. */
  readonly receiveCount: number;
}

/** What SQS says of a receipt that holds no message any more, or never did. */
const LAPSED = new Set([
  'InvalidParameterValue',
  'MessageNotInflight',
  'ReceiptHandleIsInvalid',
  'AWS.SimpleQueueService.MessageNotInflight',
]);

/**
 * @param config beside the standard settings (`AWS_REGION`, `AWS_ENDPOINT_URL_SQS`, …), which the client reads by itself
 */
export function createSqsCalls(config: SQSClientConfig = {}): SqsCalls {
  // Whoever calls retries what was refused; a second layer would multiply tries and waits.
  const client = new SQSClient({
    maxAttempts: 1,
    requestHandler: httpHandler(),
    // Else the host in a queue's URL would win over an endpoint that is set.
    useQueueUrlAsEndpoint: false,
    ...config,
  });
  return {
    async sendBatch(queueUrl, messages, signal) {
      const reply = await explained('messages cannot be sent', signal, () =>
        client.send(
          new SendMessageBatchCommand({
            QueueUrl: queueUrl,
            Entries: messages.map(({ body, attributes }, at) => ({
              Id: String(at),
              MessageBody: body,
              ...(attributes === undefined ? {} : { MessageAttributes: stringAttributes(attributes) }),
            })),
          }),
          { abortSignal: signal },
        ),
      );
      const outcomes = messages.map((): SendOutcome => {
        return { sent: false, retryable: true, message: 'the queue did not say what became of it' };
      });
      for (const { Id } of reply.Successful ?? []) outcomes[Number(Id)] = { sent: true };
      for (const { Id, SenderFault, Code, Message } of reply.Failed ?? []) {
        outcomes[Number(Id)] = {
          sent: false,
          // Sending too fast counts as the sender's fault with some services, and passes.
          retryable: SenderFault !== true || isRetryableCode(Code),
          message: [Code, Message].filter(Boolean).join(': '),
        };
      }
      return outcomes;
    },

    async receive(queueUrl, max, visibilitySeconds, signal) {
      const reply = await explained('messages cannot be received', signal, () =>
        client.send(
          new ReceiveMessageCommand({
            QueueUrl: queueUrl,
            MaxNumberOfMessages: max,
            VisibilityTimeout: visibilitySeconds,
            MessageSystemAttributeNames: ['ApproximateReceiveCount'],
          }),
          { abortSignal: signal },
        ),
      );
      return (reply.Messages ?? []).map(({ Body, ReceiptHandle, Attributes }) => ({
        body: Body ?? '',
        receipt: ReceiptHandle ?? '',
        receiveCount: Number(Attributes?.ApproximateReceiveCount ?? 1),
      }));
    },

    changeVisibility: (queueUrl, receipt, visibilitySeconds, signal) =>
      unlessLapsed(() =>
        explained('a message cannot be hidden for longer', signal, () =>
          client.send(
            new ChangeMessageVisibilityCommand({
              QueueUrl: queueUrl,
              ReceiptHandle: receipt,
              VisibilityTimeout: visibilitySeconds,
            }),
            { abortSignal: signal },
          ),
        ),
      ),

    delete: (queueUrl, receipt, signal) =>
      unlessLapsed(() =>
        explained('a message cannot be deleted', signal, () =>
          client.send(new DeleteMessageCommand({ QueueUrl: queueUrl, ReceiptHandle: receipt }), {
            abortSignal: signal,
          }),
        ),
      ),

    close: () => client.destroy(),
  };
}

function stringAttributes(attributes: Readonly<Record<string, string>>) {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [name, { DataType: 'String', StringValue: value }]),
  );
}

async function unlessLapsed(call: () => Promise<unknown>): Promise<boolean> {
  try {
    await call();
    return true;
  } catch (thrown) {
    if (thrown instanceof Error && LAPSED.has(nameOf(thrown.cause) ?? '')) return false;
    throw thrown;
  }
}
