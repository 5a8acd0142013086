import { failureMessage, readFailureMessage } from '../../../src/adapters/aws/failure-message.ts';
import { bodyOfTask, messageLineOfBody, taskOfBody } from '../../../src/adapters/aws/sqs-message.ts';
import { encodeValue } from '../../../src/application/values/value-writer.ts';
import type { RoutedFailure } from '../../../src/domain/ports/error-router.ts';
import { outcomeOf } from '../refusal.ts';
import { agree, must, type Target } from '../target.ts';

const object = { bucket: 'lake', key: 'a.csv', version: 'v1', size: 10 };
const TASK = {
  id: 't1',
  run: 'r1',
  generation: 'p@1',
  build: 'b1',
  epoch: 1,
  where: { a: { $gt: 1 } },
  object,
  sections: { from: 0, to: 3 },
  start: null,
  done: [1],
};
const FAILURE = {
  generation: 'p@1',
  pipeline: 'p',
  version: 1,
  run: 'r',
  build: 'b',
  route: 'ledger',
  at: 0,
  failure: {
    id: 'f',
    position: { kind: 'row', object, coordinate: 1, output: null },
    stage: 'transform',
    code: 'E_TRANSFORM',
    message: 'no',
    rows: 1,
    payload: encodeValue({ a: 1 }),
  },
} as unknown as RoutedFailure;
const claims = { redeem: async (data: Uint8Array) => data };
const signal = new AbortController().signal;

/**
 * Bodies of queues, as task, failure and message from elsewhere, against `JSON.parse`: what is accepted says the same there.
 * Stricter on purpose: a task and a failure have all of their fields, a message is an object.
 */
export const queueMessagesTarget: Target = {
  name: 'queue-messages',
  share: 12,
  isJson: true,
  tokens: [
    'null',
    '{}',
    '[]',
    '"kind":"sluice.failure/1"',
    '"payload":1',
    '\n',
    '\u00ef\u00bb\u00bf',
    '"sections":',
    '1e999',
    '"__proto__":{}',
  ],
  open: () => ({
    corpus: [bodyOfTask(TASK), failureMessage(FAILURE).body, '{"lane":"FRA-JFK","delay":1,\n"note":"x"}'].map(
      (body) => new Uint8Array(Buffer.from(body)),
    ),
    async check(input) {
      const body = Buffer.from(input).toString('utf8');
      const task = await outcomeOf(['E_TASK_INVALID'], () => taskOfBody(body, claims, signal));
      const failure = await outcomeOf(['E_EVENT'], () => readFailureMessage(body));
      const line = await outcomeOf(['E_JSON'], () => messageLineOfBody(body, claims, signal));
      if (task.value !== undefined) agree('tasks', task.value, JSON.parse(body));
      if (failure.value !== undefined) {
        const { payload, id, rows } = failure.value.failure;
        const said = (JSON.parse(body) as { failure: { payload: string | null } }).failure;
        agree('failures', { ...said, id, rows }, said);
        must(payload === null || payload instanceof Uint8Array, 'a payload that is no bytes');
        failureMessage(failure.value);
      }
      if (line.value === undefined) {
        must(
          task.value === undefined && failure.value === undefined,
          'a task or failure that is no JSON object',
        );
        return 'refused';
      }
      must(!line.value.includes(0x0a) && !line.value.includes(0x0d), 'a message of more than one line');
      agree('messages', JSON.parse(Buffer.from(line.value).toString('utf8')), JSON.parse(body));
      return 'accepted';
    },
  }),
};
