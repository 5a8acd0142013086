import { PublishBatchCommand, SNSClient, type SNSClientConfig } from '@aws-sdk/client-sns';
import { explained, isRetryableCode } from './errors.ts';
import { httpHandler } from './http-handler.ts';
import type { SendOutcome, SqsCalls } from './sqs-client.ts';

/** One message, and all of one request, in bytes: a topic takes less than a queue. */
export const MAX_PUBLISH_BYTES = 256 * 1024;

/** What is asked of SNS: a topic is sent to as a queue is, under its ARN, by the same sender. */
export interface SnsCalls extends Pick<SqsCalls, 'sendBatch'> {
  /** Closes its connections. */
  close(): void;
}

/**
 * @param config beside the standard settings (`AWS_REGION`, `AWS_ENDPOINT_URL_SNS`, …), which the client reads by itself
 */
export function createSnsCalls(config: SNSClientConfig = {}): SnsCalls {
  // Whoever calls retries what was refused; a second layer would multiply tries and waits.
  const client = new SNSClient({ maxAttempts: 1, requestHandler: httpHandler(), ...config });
  return {
    async sendBatch(topicArn, messages, signal) {
      const reply = await explained('failures cannot be published', signal, () =>
        client.send(
          new PublishBatchCommand({
            TopicArn: topicArn,
            PublishBatchRequestEntries: messages.map(({ body, attributes }, at) => ({
              Id: String(at),
              Message: body,
              MessageAttributes: Object.fromEntries(
                Object.entries(attributes ?? {}).map(([name, value]) => [
                  name,
                  { DataType: 'String', StringValue: value },
                ]),
              ),
            })),
          }),
          { abortSignal: signal },
        ),
      );
      const outcomes = messages.map((): SendOutcome => {
        return { sent: false, retryable: true, message: 'the topic did not say what became of it' };
      });
      for (const { Id } of reply.Successful ?? []) outcomes[Number(Id)] = { sent: true };
      for (const { Id, SenderFault, Code, Message } of reply.Failed ?? []) {
        outcomes[Number(Id)] = {
          sent: false,
          retryable: SenderFault !== true || isRetryableCode(Code),
          message: [Code, Message].filter(Boolean).join(': '),
        };
      }
      return outcomes;
    },

    close: () => client.destroy(),
  };
}
